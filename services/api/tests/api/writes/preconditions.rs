//! If-Match and If-None-Match

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;

use super::fixture::{Writer, cheese};
use crate::harness::{Answer, fetch};
use crate::webhook::sender::problem;

#[track_caller]
fn assert_failed(answer: &Answer) {
    assert_eq!(problem(answer), (412, "precondition_failed".into()));
}

#[tokio::test]
async fn if_match_takes_the_tag_of_a_get_in_every_coding_until_the_product_has_changed() {
    let writer = Writer::start().await;
    let mut long = cheese();
    // Long enough to be worth compressing.
    long["description"] = "Ripened for three weeks. ".repeat(40).into();
    assert_eq!(writer.put(1, &[], &long).await.status, 201);
    let mut tags: Vec<String> = Vec::new();
    for (number, coding) in ["identity", "gzip", "br", "zstd"].into_iter().enumerate() {
        let read = writer.api.get_with("/products/1", &[("accept-encoding", coding)]).await;
        let is_coded = read.headers.contains_key("content-encoding");
        assert_eq!(is_coded, coding != "identity", "{read:?}");
        let tag = read.header("etag").to_owned();
        assert_eq!(tag.contains(coding), is_coded, "{tag}");
        assert_failed(&writer.patch(1, &[("if-none-match", &tag)], &json!({"price": 1})).await);
        let changed = writer.patch(1, &[("if-match", &tag)], &json!({"price": number + 1})).await;
        assert_eq!(changed.status, 200, "{coding}: {}", changed.text());
        tags.push(tag);
        // Every tag from before it.
        for tag in &tags {
            let stale = [("if-match", tag.as_str())];
            assert_failed(&writer.patch(1, &stale, &json!({"price": 99})).await);
            assert_failed(&writer.put(1, &stale, &cheese()).await);
            assert_failed(&writer.delete(1, &stale).await);
            // If it is one of several tags that the client has seen, that will do.
            assert_failed(&writer.delete(1, &[("if-match", &format!("\"a\", {tag} , \"b\""))]).await);
            assert_failed(&writer.patch(1, &[("if-none-match", "*")], &json!({"price": 99})).await);
        }
        // The tag of an answer to a write will do as well.
        let next = [("if-match", changed.header("etag"))];
        assert_eq!(writer.patch(1, &next, &json!({"description": long["description"]})).await.status, 200);
    }
    assert_eq!(writer.api.get("/products/1").await.json()["price"], 4.0);
}

#[tokio::test]
async fn lists_of_tags_stars_and_weak_tags_are_as_the_rfc_has_them() {
    let writer = Writer::start().await;
    assert_eq!(writer.put(1, &[], &cheese()).await.status, 201);
    // The same product again has the same tag.
    let tag = writer.api.get("/products/1").await.header("etag").to_owned();
    let weak = format!("W/{tag}");
    let put = async |headers: &[(&str, &str)]| writer.put(1, headers, &cheese()).await.status;
    let among = format!("\"a\",\"b\" , {tag}");
    assert_eq!(put(&[("if-match", &among)]).await, 200);
    assert_eq!(put(&[("if-match", "\"a\""), ("if-match", &tag)]).await, 200);
    assert_eq!(put(&[("if-match", "*")]).await, 200);
    assert_eq!(put(&[("if-match", &weak)]).await, 412);
    for bad in ["", "\"", "a", tag.trim_matches('"'), "W/*", "\"*\""] {
        assert_eq!(put(&[("if-match", bad)]).await, 412, "{bad}");
    }
    // For If-None-Match, weak tags are as good as strong ones.
    assert_eq!(put(&[("if-none-match", &weak)]).await, 412);
    assert_eq!(put(&[("if-none-match", &among)]).await, 412);
    assert_eq!(put(&[("if-none-match", "*")]).await, 412);
    assert_eq!(put(&[("if-none-match", "\"a\"")]).await, 200);
    assert_eq!(put(&[("if-match", &tag), ("if-none-match", "\"a\"")]).await, 200);
    assert_eq!(put(&[("if-match", &tag), ("if-none-match", &tag)]).await, 412);
    assert_eq!(writer.api.get("/products/1").await.header("etag"), tag);

    // What is not there has no tag.
    let other = async |headers: &[(&str, &str)]| writer.put(2, headers, &cheese()).await.status;
    assert_eq!(other(&[("if-match", "*")]).await, 412);
    assert_eq!(other(&[("if-match", &tag)]).await, 412);
    assert_eq!(writer.count().await, 1);
    assert_eq!(other(&[("if-none-match", "*")]).await, 201);
    assert_eq!(other(&[("if-none-match", "*")]).await, 412);
    // What cannot be found is not found, whatever it was to be like.
    assert_eq!(writer.delete(3, &[("if-match", &tag)]).await.status, 404);
    assert_eq!(writer.patch(3, &[("if-match", "*")], &json!({"price": 1})).await.status, 404);
    let now = writer.api.get("/products/2").await;
    assert_eq!(writer.delete(2, &[("if-match", now.header("etag"))]).await.status, 204);
}

/// Each reads a product and writes it with one cent more, if it is still as it was read.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_writers_of_few_products_lose_no_update() {
    const PRODUCTS: u64 = 5;
    const TOGETHER: u64 = 100;
    const EACH: u64 = 100;
    let settings = [("DB_WRITE_CONNECTIONS", "4"), ("DB_ACQUIRE_TIMEOUT", "20s"), ("REQUEST_TIMEOUT", "20s")];
    let writer = Writer::start_with(0, &settings).await;
    let mut free = cheese();
    free["price"] = 0.into();
    for id in 1..=PRODUCTS {
        assert_eq!(writer.put(id, &[], &free).await.status, 201);
    }
    let won: Arc<[AtomicU64; PRODUCTS as usize]> = Arc::default();
    let writers: Vec<_> = (0..TOGETHER)
        .map(|number| {
            let (client, won) = (writer.client(), Arc::clone(&won));
            tokio::spawn(async move {
                for round in 0..EACH {
                    let product = (number + round * 7) % PRODUCTS;
                    let path = format!("/products/{}", product + 1);
                    let url = format!("{}{path}", client.base);
                    let read = fetch(&client.http, &url, &[]).await.unwrap();
                    let cents = (read.json()["price"].as_f64().unwrap() * 100.0).round() + 1.0;
                    let body = json!({"price": cents / 100.0}).to_string();
                    let seen = [("if-match", read.header("etag"))];
                    let answer = client.send("PATCH", &path, &seen, &body).await.unwrap();
                    match answer.status {
                        200 => drop(won[usize::try_from(product).unwrap()].fetch_add(1, Ordering::Relaxed)),
                        _ => assert_failed(&answer),
                    }
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let mut all = 0;
    for (id, won) in (1..).zip(won.iter()) {
        let won = won.load(Ordering::Relaxed);
        let product = writer.api.get(&format!("/products/{id}")).await.json();
        assert_eq!((product["price"].as_f64().unwrap() * 100.0).round(), won as f64, "{id}");
        all += won;
    }
    let of = async |outcome: &str| {
        let labels = ["operation=\"patch\"", outcome];
        writer.api.metric("farmlokal_writes_total", &labels).await as u64
    };
    let (applied, failed) = (of("outcome=\"applied\"").await, of("outcome=\"precondition_failed\"").await);
    assert_eq!((applied, applied + failed), (all, TOGETHER * EACH));
    assert!(applied > 100 && failed > 100, "{applied} {failed}");
}
