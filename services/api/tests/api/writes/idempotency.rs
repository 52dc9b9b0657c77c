//! Idempotency-Key

use serde_json::{Value, json};

use super::fixture::{Client, Writer, cheese};
use super::issuer::Issuer;
use crate::harness::{Answer, Api, client};
use crate::webhook::sender::problem;

/// All that a client goes by.
fn said(answer: &Answer) -> (u16, Vec<Option<String>>, Vec<u8>) {
    let names = ["etag", "location", "content-location", "content-type", "preference-applied"];
    let headers = names.map(|name| answer.headers.get(name).map(|value| value.to_str().unwrap().to_owned()));
    (answer.status, headers.into(), answer.body.clone())
}

#[tokio::test]
async fn the_same_request_has_the_same_answer_and_no_other_effect() {
    let writer = Writer::start_with(5, &[]).await;
    let tag = writer.api.get("/products/2").await.header("etag").to_owned();
    let batch = json!({"operations": [
        {"action": "create", "product": cheese()}, {"action": "delete", "id": 4}, {"action": "put", "id": 70, "product": cheese()},
    ]});
    let requests: [(&str, &str, &str, Value, u16); 6] = [
        ("POST", "/products", "", cheese(), 201),
        ("PUT", "/products/60", "", cheese(), 201),
        ("PUT", "/products/1", "", cheese(), 200),
        // It does not hold any more the second time.
        ("PATCH", "/products/2", &tag, json!({"price": 5}), 200),
        ("DELETE", "/products/3", "", Value::Null, 204),
        ("POST", "/products/batch", "", batch, 200),
    ];
    for (number, (method, path, tag, body, status)) in requests.iter().enumerate() {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (key, bare) = (format!("\"key {number}\""), format!("key {number}"));
        let send = async |key: &str| {
            let mut headers = vec![("idempotency-key", key)];
            if !tag.is_empty() {
                headers.push(("if-match", *tag));
            }
            writer.send(method, path, &headers, &body).await
        };
        let first = send(&key).await;
        assert_eq!(first.status, *status, "{method} {path}: {}", first.text());
        // With or without the quotes of the draft.
        for key in [&key, &bare] {
            assert_eq!(said(&send(key).await), said(&first), "{method} {path}");
        }
    }
    // 5 there were, 2 were deleted, 2 created and 2 put.
    assert_eq!(writer.count().await, 7);
    let repeated = writer.api.metric("farmlokal_writes_total", &["outcome=\"repeated\""]).await;
    assert_eq!(repeated, 12.0);
    // It is the answer of then, whatever has happened since.
    assert_eq!(writer.delete(60, &[]).await.status, 204);
    let again = writer.put(60, &[("idempotency-key", "key 1")], &cheese()).await;
    assert_eq!((again.status, writer.api.get("/products/60").await.status), (201, 404));
}

#[tokio::test]
async fn a_key_is_of_one_request_alone() {
    let writer = Writer::start_with(2, &[]).await;
    let key = ("idempotency-key", "\"k\"");
    let body = json!({"price": 5});
    assert_eq!(writer.patch(1, &[key], &body).await.status, 200);
    let everything = ("if-match", "*");
    let others = [
        writer.patch(1, &[key], &json!({"price": 6})).await,
        writer.patch(2, &[key], &body).await,
        writer.patch(1, &[key, everything], &body).await,
        writer.send("DELETE", "/products/1", &[key], &body.to_string()).await,
        writer.put(1, &[key], &cheese()).await,
        writer.send("POST", "/products", &[key], &cheese().to_string()).await,
        writer.batch(&[key], &[json!({"action": "delete", "id": 1})]).await,
    ];
    for answer in others {
        assert_eq!(problem(&answer), (422, "idempotency_conflict".into()));
    }
    assert_eq!(writer.api.get("/products/1").await.json()["price"], 5.0);
    assert_eq!(writer.count().await, 2);
}

/// What has not taken effect may be corrected and sent again.
#[tokio::test]
async fn a_refusal_uses_up_no_key() {
    let writer = Writer::start_with(1, &[]).await;
    let key = ("idempotency-key", "\"k\"");
    assert_eq!(writer.put(1, &[key], &json!({})).await.status, 400);
    assert_eq!(writer.put(1, &[key, ("if-none-match", "*")], &cheese()).await.status, 412);
    assert_eq!(writer.delete(2, &[key]).await.status, 404);
    assert_eq!(writer.batch(&[key], &[json!({"action": "delete", "id": 2})]).await.status, 409);
    assert_eq!(writer.put(2, &[key], &cheese()).await.status, 201);
    assert_eq!(writer.put(2, &[key], &cheese()).await.status, 201);
}

#[tokio::test]
async fn a_key_is_1_to_255_characters_once() {
    let writer = Writer::start().await;
    let (longest, longer) = ("k".repeat(255), "k".repeat(256));
    let quoted = format!("\"{longest}\"");
    for good in [longest.as_str(), &quoted] {
        assert_eq!(writer.put(1, &[("idempotency-key", good)], &cheese()).await.status, 201);
    }
    for bad in ["", "\"\"", "\"", "a\"b", "\"a\\\\b\"", "a\tb", "é", &longer] {
        let answer = writer.put(1, &[("idempotency-key", bad)], &cheese()).await;
        assert_eq!(problem(&answer), (400, "invalid_parameter".into()), "{bad}");
        assert_eq!(answer.json()["params"][0]["name"], "idempotency-key");
    }
    let twice = [("idempotency-key", "a"), ("idempotency-key", "a")];
    assert_eq!(writer.put(1, &twice, &cheese()).await.json()["params"][0]["code"], "repeated_parameter");
    // Before anything is done.
    assert_eq!(writer.api.metric("farmlokal_writes_total", &["outcome=\"applied\""]).await, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_its_owners() {
    let issuer = Issuer::start().await;
    let api = Api::with(&issuer.settings()).await;
    let owner = |changes: &Value| Client { http: client(), base: api.url(""), token: issuer.token(changes) };
    let body = cheese().to_string();
    let mut locations = Vec::new();
    for changes in [
        json!({"sub": "ann"}),
        json!({"sub": "bob"}),
        json!({"sub": "ann", "client_id": "other"}),
        json!({"sub": "ann", "client_id": null}),
    ] {
        let first = owner(&changes).send_until_done("POST", "/products", "k", &body).await;
        // Another token of the same.
        let later = json!({"sub": changes["sub"], "jti": "2", "client_id": changes.get("client_id").unwrap_or(&json!("shop"))});
        let second = owner(&later).send_until_done("POST", "/products", "k", &body).await;
        assert_eq!(said(&first), said(&second));
        locations.push(first.header("location").to_owned());
    }
    locations.sort();
    locations.dedup();
    assert_eq!(locations.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_write_is_under_way_the_same_again_is_told_to_wait() {
    let writer = Writer::start().await;
    let mut held = writer.hold(1).await;
    let key = ("idempotency-key", "\"k\"");
    let (client, body) = (writer.client(), json!({"price": 3}).to_string());
    let first = tokio::spawn({
        let (client, body) = (client.clone(), body.clone());
        async move { client.send("PATCH", "/products/1", &[key], &body).await.unwrap() }
    });
    held.until_met().await;
    // The same, and another: nobody knows yet what became of the first.
    for body in [&body, "{}"] {
        let second = client.send("PATCH", "/products/1", &[key], body).await.unwrap();
        assert_eq!(problem(&second), (409, "write_in_flight".into()));
        assert_eq!(second.header("retry-after"), "1");
    }
    held.release().await;
    let first = first.await.unwrap();
    assert_eq!((first.status, first.json()["price"].as_f64()), (200, Some(3.0)));
    let again = client.send("PATCH", "/products/1", &[key], &body).await.unwrap();
    assert_eq!(said(&again), said(&first));
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_at_once_create_one_product() {
    let writer = Writer::start().await;
    let sends: Vec<_> = (0..50)
        .map(|_| {
            let client = writer.client();
            tokio::spawn(async move {
                client.send_until_done("POST", "/products", "k", &cheese().to_string()).await
            })
        })
        .collect();
    let mut answers = Vec::new();
    for send in sends {
        answers.push(said(&send.await.unwrap()));
    }
    answers.dedup();
    assert_eq!((answers.len(), answers[0].0, writer.count().await), (1, 201, 1));
}
