//! Who may send events.

use chrono::Utc;

use super::sender::{Event, NEXT_SECRET, SECRET, ago, api, post, problem, sign, status};
use crate::harness::{Api, command};

#[tokio::test]
async fn while_keys_rotate_each_of_them_counts() {
    let api = Api::with(&[("WEBHOOK_SECRETS", &format!("{NEXT_SECRET}, {SECRET}"))]).await;
    for secret in [SECRET, NEXT_SECRET] {
        let event = Event::upsert(7, "Racket", 1.0, ago(1));
        let answer = post(&api, &event.headers(secret), event.body.to_string()).await;
        assert_eq!(status(&answer), "applied");
    }
    // A sender that rotates signs with both.
    let event = Event::upsert(7, "Racket", 1.0, ago(0));
    let body = event.body.to_string();
    let mut headers = event.headers("whsec_c29tZWJvZHkgZWxzZSdzIGtleSwgbm90IG91cnM=");
    let now = headers[1].1.parse().unwrap();
    headers[2].1 = format!("{} {}", headers[2].1, sign(SECRET, &event.id, now, body.as_bytes()));
    assert_eq!(status(&post(&api, &headers, body).await), "applied");
}

#[tokio::test]
async fn what_is_not_signed_now_and_by_a_key_is_a_401_and_has_no_effect() {
    let api = api().await;
    let event = Event::upsert(7, "Racket", 1.0, ago(1));
    let (body, now) = (event.body.to_string(), Utc::now().timestamp());
    let refused = [
        (vec![], &body),
        (vec![("x-event-id", event.id.clone())], &body),
        (event.headers(NEXT_SECRET), &body),
        (event.headers_at(SECRET, now - 301), &body),
        (event.headers_at(SECRET, now + 301), &body),
        (event.headers(SECRET), &body.replace("Racket", "Rocket")),
    ];
    for (headers, body) in refused {
        let answer = post(&api, &headers, body.clone()).await;
        assert_eq!(problem(&answer), (401, "invalid_signature".into()), "{headers:?}");
        assert_eq!(answer.header("www-authenticate"), "Webhook-Signature");
    }
    assert_eq!(api.get("/products/7").await.status, 404);
    assert_eq!(status(&post(&api, &event.headers_at(SECRET, now - 290), body).await), "applied");
}

#[tokio::test]
async fn the_tolerance_is_a_setting() {
    let api = Api::with(&[("WEBHOOK_SECRETS", SECRET), ("WEBHOOK_TOLERANCE", "1h")]).await;
    let event = Event::upsert(7, "Racket", 1.0, ago(1));
    let headers = event.headers_at(SECRET, Utc::now().timestamp() - 3_000);
    assert_eq!(status(&post(&api, &headers, event.body.to_string()).await), "applied");
}

#[tokio::test]
async fn unsigned_events_are_taken_only_where_that_is_allowed() {
    let api = Api::with(&[("WEBHOOK_SECRETS", SECRET), ("WEBHOOK_ALLOW_UNSIGNED", "true")]).await;
    let mut event = Event::upsert(7, "Racket", 1.0, ago(1));
    event.body.as_object_mut().unwrap().remove("eventId");
    let body = event.body.to_string();
    assert_eq!(status(&post(&api, &[("x-event-id", event.id.clone())], body.clone()).await), "applied");
    // A wrong signature is worse than none.
    let answer = post(&api, &event.headers(NEXT_SECRET), body).await;
    assert_eq!(problem(&answer), (401, "invalid_signature".into()));
}

#[test]
fn bad_settings_stop_the_start_with_one_line_that_does_not_repeat_them() {
    let directory = tempfile::tempdir().unwrap();
    for (name, value, part) in [
        ("WEBHOOK_SECRETS", "hunter2".to_owned(), "WEBHOOK_SECRETS: number 1: must start with whsec_"),
        (
            "WEBHOOK_SECRETS",
            format!("{SECRET},whsec_aHVudGVyMg=="),
            "number 2: must have 24 to 64 bytes, not 7",
        ),
        ("WEBHOOK_TOLERANCE", "0s".to_owned(), "must be above zero"),
        ("API_B_URL", "ftp://hunter2@h/".to_owned(), "API_B_URL: the scheme is ftp"),
        ("WEBHOOK_CALLBACK_URL", "hunter2".to_owned(), "WEBHOOK_CALLBACK_URL (write https://host/path)"),
    ] {
        let urls = [("API_B_URL", "http://b"), ("WEBHOOK_CALLBACK_URL", "http://us/webhook")];
        let mut binary = command(directory.path());
        let output = binary.env("PORT", "0").envs(urls).env(name, &value).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{name}");
        assert_eq!(error.trim_end().lines().count(), 1, "{error}");
        assert!(error.contains(part) && !error.contains("hunter2"), "{name}: {error}");
    }
}
