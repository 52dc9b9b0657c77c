//! POST /webhook: what an event does, and what is no event.

use serde_json::json;

use super::sender::{Event, SECRET, ago, api, deliver, post, problem, status, try_post};
use crate::harness::{Api, client};

#[tokio::test]
async fn each_event_is_seen_with_the_next_request() {
    let api = api().await;
    // Absence is cached as well.
    assert_eq!(api.get("/products/7").await.status, 404);
    assert_eq!(api.get("/products/7").await.status, 404);

    let answer = deliver(&api, &Event::upsert(7, "Racket XL", 12.5, ago(30))).await;
    assert_eq!(status(&answer), "applied");
    assert_eq!(answer.header("cache-control"), "no-store");
    let product = api.get("/products/7").await.json();
    assert_eq!(product["name"], "Racket XL");
    assert!(api.get("/products/7").await.text().contains("\"price\":12.50,"));
    assert_eq!(api.get("/products?search=xl").await.ids(), [7]);
    assert_eq!(api.get("/categories").await.json()["data"], json!(["sports"]));

    assert_eq!(status(&deliver(&api, &Event::price(7, 9.99, ago(20))).await), "applied");
    assert_eq!(api.get("/products/7").await.json()["price"], 9.99);
    assert_eq!(api.get("/products?sort=price").await.json()["data"][0]["price"], 9.99);

    assert_eq!(status(&deliver(&api, &Event::upsert(7, "Racket", 8.0, ago(15))).await), "applied");
    let changed = api.get("/products/7").await.json();
    assert_eq!((&changed["name"], &changed["createdAt"]), (&json!("Racket"), &product["createdAt"]));
    assert_eq!(api.get("/products?search=xl").await.ids(), [0; 0]);

    assert_eq!(status(&deliver(&api, &Event::delete(7, ago(10))).await), "applied");
    assert_eq!(api.get("/products/7").await.status, 404);
    assert_eq!(api.get("/products").await.ids(), [0; 0]);
    assert_eq!(api.metric("farmlokal_webhook_events_total", &["outcome=\"applied\""]).await, 4.0);
}

#[tokio::test]
async fn every_wrong_field_is_named() {
    let api = api().await;
    let event = Event::new("product.upserted", ago(1), &json!({"id": 0, "name": "", "price": 1.005}));
    let answer = deliver(&api, &event).await;
    assert_eq!(problem(&answer), (400, "invalid_event".into()));
    let params = answer.json()["params"].clone();
    let named: Vec<_> =
        params.as_array().unwrap().iter().map(|param| param["name"].as_str().unwrap()).collect();
    assert_eq!(named, ["data.id", "data.name", "data.description", "data.category", "data.price"]);
    assert_eq!(api.metric("farmlokal_webhook_events_total", &["outcome=\"invalid_event\""]).await, 1.0);

    // The id that is signed is the event's.
    let mut other = Event::delete(1, ago(1));
    other.id = "evt_other".into();
    let answer = deliver(&api, &other).await;
    assert_eq!(answer.json()["params"][0]["code"], "ambiguous");
}

#[tokio::test]
async fn a_body_without_end_is_cut_off() {
    let api = api().await;
    let answer = post(&api, &Event::delete(1, ago(1)).headers(SECRET), vec![b' '; 256 * 1024 + 1]).await;
    assert_eq!(problem(&answer), (413, "body_too_large".into()));
    // On a connection of its own: the one before is being closed. A client that is still sending then may not get to
    // see the answer.
    let headers = Event::delete(1, ago(1)).headers(SECRET);
    if let Ok(answer) = try_post(&client(), &api.url("/webhook"), &headers, vec![b' '; 8 << 20]).await {
        assert_eq!(problem(&answer), (413, "body_too_large".into()));
    }
    let refused = ["http_route=\"/webhook\"", "http_response_status_code=\"413\""];
    assert_eq!(api.metric("http_server_request_duration_seconds_count", &refused).await, 2.0);
    let largest = vec![b' '; 256 * 1024];
    let largest = try_post(&client(), &api.url("/webhook"), &headers, largest).await.unwrap();
    assert_eq!(problem(&largest), (401, "invalid_signature".into()));
}

#[tokio::test]
async fn a_body_that_is_compressed_or_not_json_is_a_415() {
    let api = api().await;
    let event = Event::upsert(7, "Racket", 1.0, ago(1));
    let with = async |name: &'static str, value: &str| {
        let mut headers = event.headers(SECRET);
        headers.push((name, value.to_owned()));
        post(&api, &headers, event.body.to_string()).await
    };
    for (name, value) in [
        ("content-encoding", "gzip"),
        ("content-encoding", "identity, br"),
        ("content-type", "text/plain"),
        ("content-type", "application/x-www-form-urlencoded"),
    ] {
        let answer = with(name, value).await;
        assert_eq!(problem(&answer), (415, "unsupported_media_type".into()), "{value}");
        let (accepted, expected) = match name {
            "content-encoding" => ("accept-encoding", "identity"),
            _ => ("accept", "application/json"),
        };
        assert_eq!(answer.header(accepted), expected);
    }
    assert_eq!(
        api.metric("farmlokal_webhook_events_total", &["outcome=\"unsupported_media_type\""]).await,
        4.0
    );
    assert_eq!(status(&with("content-encoding", "identity").await), "applied");
    assert_eq!(status(&with("content-type", "Application/JSON; charset=utf-8").await), "duplicate");
}

#[tokio::test]
async fn a_text_is_stored_in_one_spelling() {
    let api = api().await;
    let event = Event::upsert(7, " Cre\u{300}me ", 1.0, ago(1));
    assert_eq!(status(&deliver(&api, &event).await), "applied");
    assert_eq!(api.get("/products/7").await.json()["name"], "Cr\u{e8}me");
    let answer = deliver(&api, &Event::upsert(7, "\u{200b}", 1.0, ago(1))).await;
    assert_eq!(problem(&answer), (400, "invalid_event".into()));
    assert_eq!(answer.json()["params"][0]["name"], "data.name");
}

#[tokio::test]
async fn without_a_key_there_is_no_webhook() {
    let api = Api::empty().await;
    let event = Event::delete(1, ago(1));
    assert_eq!(problem(&deliver(&api, &event).await), (404, "not_configured".into()));
    assert_eq!(problem(&api.send("GET", "/webhook").await), (405, "method_not_allowed".into()));
}

#[tokio::test]
async fn the_database_gone_is_a_503_and_the_next_delivery_counts() {
    let api = api().await;
    let event = Event::upsert(7, "Racket", 1.0, ago(1));
    // Nobody can write to a table that is not there.
    let pool = api.database.pool();
    sqlx::raw_sql("RENAME TABLE webhook_events TO away").execute(&pool).await.unwrap();
    let answer = deliver(&api, &event).await;
    assert_eq!(problem(&answer), (503, "database_unavailable".into()));
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(api.get("/products/7").await.status, 404);
    sqlx::raw_sql("RENAME TABLE away TO webhook_events").execute(&pool).await.unwrap();
    assert_eq!(status(&deliver(&api, &event).await), "applied");
    assert_eq!(api.get("/products/7").await.status, 200);
}

/// Deliveries go on without their senders, and so outlive the permits of their requests.
#[tokio::test(flavor = "multi_thread")]
async fn deliveries_have_a_bound_of_their_own() {
    let settings = [("WEBHOOK_SECRETS", SECRET), ("REDIS_TIMEOUT", "15s"), ("REQUEST_TIMEOUT", "30s")];
    let api = Api::with(&settings).await;
    // Each delivery waits for its claim.
    api.redis.pause().unwrap();
    let active = |count| format!("http_server_active_requests {count}");
    let mut held = Vec::new();
    for product in 1..=512 {
        let event = Event::upsert(product, "Ball", 1.0, ago(1));
        let (client, url) = (api.client(), api.url("/webhook"));
        held.push(tokio::spawn(async move {
            try_post(&client, &url, &event.headers(SECRET), event.body.to_string()).await
        }));
        // So many bodies may arrive at once.
        if product % 128 == 0 {
            let all = active(product);
            api.until("/metrics", |answer| answer.text().lines().any(|line| line == all)).await;
        }
    }
    // Each has read its body by now: the next is read after them.
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    held.iter().for_each(tokio::task::JoinHandle::abort);
    api.until("/metrics", |answer| answer.text().lines().any(|line| line == active(0))).await;
    let refused = deliver(&api, &Event::upsert(513, "Ball", 1.0, ago(1))).await;
    assert_eq!(problem(&refused), (503, "overloaded".into()));
    assert_eq!(refused.header("retry-after"), "1");
    api.redis.resume().unwrap();
}
