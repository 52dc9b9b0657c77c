//! POST /products; PUT, PATCH and DELETE /products/{id}

use serde_json::json;

use super::fixture::{Writer, cheese};
use crate::webhook::sender::{Event, SECRET, ago, deliver, problem, status};

#[tokio::test]
async fn a_product_is_created_replaced_changed_and_deleted() {
    let writer = Writer::start().await;
    let created = writer.post(&cheese()).await;
    assert_eq!(created.status, 201, "{created:?}");
    let product = created.json();
    let (id, path) = (product["id"].as_u64().unwrap(), created.header("location").to_owned());
    assert_eq!((&product["name"], &product["price"]), (&json!("Alpine Cheese"), &json!(12.5)));
    assert_eq!(path, format!("/products/{id}"));
    let read = writer.api.get(&path).await;
    assert_eq!((read.json(), read.header("etag")), (product, created.header("etag")));

    let replaced = writer
        .put(id, &[], &json!({"name": "Goat", "description": "", "category": "dairy", "price": 1}))
        .await;
    assert_eq!((replaced.status, &replaced.json()["name"]), (200, &json!("Goat")), "{replaced:?}");
    let patched = writer.patch(id, &[], &json!({"price": 2.25})).await;
    assert_eq!((patched.status, &patched.json()["price"]), (200, &json!(2.25)), "{patched:?}");
    assert_eq!(patched.json()["name"], "Goat");
    assert_eq!(writer.api.get(&path).await.json(), patched.json());

    let put = writer.put(500, &[], &cheese()).await;
    assert_eq!((put.status, put.header("location")), (201, "/products/500"), "{put:?}");
    // A number that was given by hand is not given again.
    assert_eq!(writer.post(&cheese()).await.json()["id"], 501);

    assert_eq!(writer.delete(id, &[]).await.status, 204);
    assert_eq!(writer.api.get(&path).await.status, 404);
    assert_eq!(writer.delete(id, &[]).await.status, 404);
    assert_eq!(writer.patch(id, &[], &json!({"price": 1})).await.status, 404);
}

#[tokio::test]
async fn who_prefers_a_minimal_answer_gets_one() {
    let writer = Writer::start().await;
    let minimal = [("prefer", "respond-async, return=minimal")];
    let created = writer.send("POST", "/products", &minimal, &cheese().to_string()).await;
    let (id, path) = (1, "/products/1");
    assert_eq!((created.status, created.body.len(), created.header("location")), (201, 0, path));
    let replaced = writer.put(id, &minimal, &cheese()).await;
    let patched = writer.patch(id, &minimal, &json!({"price": 3})).await;
    for answer in [&replaced, &patched] {
        assert_eq!((answer.status, answer.body.len()), (204, 0), "{answer:?}");
    }
    for answer in [&created, &replaced, &patched] {
        assert_eq!(answer.header("preference-applied"), "return=minimal");
        assert_eq!((answer.header("content-location"), answer.header("cache-control")), (path, "no-store"));
    }
    assert_eq!(writer.api.get(path).await.header("etag"), patched.header("etag"));
    // It would stand for the body that was sent.
    assert!(!replaced.headers.contains_key("etag"));
    let whole = writer.put(id, &[("prefer", "return=representation")], &cheese()).await;
    assert_eq!((whole.status, whole.json()["price"].as_f64()), (200, Some(12.5)));
    assert!(!whole.headers.contains_key("preference-applied"));
}

#[tokio::test]
async fn ids_are_whole_numbers_that_javascript_has_too_and_there_are_no_parameters() {
    let writer = Writer::start().await;
    let body = cheese().to_string();
    for id in ["0", "-1", "x", "1.0", "9007199254740992", "99999999999999999999", "%ff", "%31%00"] {
        for method in ["PUT", "PATCH", "DELETE"] {
            let answer = writer.send(method, &format!("/products/{id}"), &[], &body).await;
            assert_eq!(problem(&answer), (400, "invalid_parameter".into()), "{method} {id}");
        }
    }
    let last = 9_007_199_254_740_991;
    assert_eq!(writer.put(last, &[], &cheese()).await.status, 201);
    // None is left for the database to give: the operators have to look at that, and nothing is created.
    assert_eq!(problem(&writer.post(&cheese()).await), (507, "no_id_left".into()));
    assert_eq!(writer.count().await, 1);
    for (method, path) in [("POST", "/products"), ("PUT", "/products/1"), ("POST", "/products/batch")] {
        let answer = writer.send(method, &format!("{path}?dry=1"), &[], &body).await;
        assert_eq!(problem(&answer), (400, "invalid_parameter".into()), "{method} {path}");
        assert_eq!(answer.json()["params"][0]["name"], "dry");
    }
}

/// A write is as new as its commit: see docs/webhook.md.
#[tokio::test]
async fn events_from_before_a_write_change_nothing_and_later_ones_do() {
    let writer = Writer::start_with(0, &[("WEBHOOK_SECRETS", SECRET)]).await;
    let api = &writer.api;
    let event = async |event: Event| status(&deliver(api, &event).await);
    assert_eq!(event(Event::upsert(7, "Racket", 1.0, ago(50))).await, "applied");
    assert_eq!(writer.patch(7, &[], &json!({"price": 2})).await.status, 200);
    assert_eq!(event(Event::upsert(7, "Late", 9.0, ago(40))).await, "superseded");
    assert_eq!(event(Event::price(7, 9.0, ago(40))).await, "superseded");
    assert_eq!(event(Event::delete(7, ago(40))).await, "superseded");
    let product = api.get("/products/7").await.json();
    assert_eq!((product["name"].as_str(), product["price"].as_f64()), (Some("Racket"), Some(2.0)));
    assert_eq!(event(Event::price(7, 3.0, ago(-60))).await, "applied");
    assert_eq!(api.get("/products/7").await.json()["price"], 3.0);
    // After all that there was, whatever its clock said.
    assert_eq!(writer.delete(7, &[]).await.status, 204);
    assert_eq!(event(Event::upsert(7, "Late", 9.0, ago(-50))).await, "superseded");
    assert_eq!(api.get("/products/7").await.status, 404);
    assert_eq!(event(Event::upsert(7, "New", 4.0, ago(-70))).await, "applied");
    assert_eq!(api.get("/products/7").await.json()["name"], "New");
}
