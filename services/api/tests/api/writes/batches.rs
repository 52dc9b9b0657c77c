//! POST /products/batch

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::fixture::{Writer, cheese, params, raw};
use crate::harness::PATIENCE;
use crate::webhook::sender::problem;

fn names(params: &[(String, String)]) -> Vec<(&str, &str)> {
    params.iter().map(|(name, code)| (name.as_str(), code.as_str())).collect()
}

#[tokio::test]
async fn all_operations_take_effect_and_their_tags_are_good_for_the_next() {
    let writer = Writer::start_with(4, &[]).await;
    let tag = writer.api.get("/products/3").await.header("etag").to_owned();
    let operations = [
        json!({"action": "create", "product": cheese()}),
        json!({"action": "put", "id": 9, "product": cheese(), "ifNoneMatch": "*"}),
        json!({"action": "put", "id": 2, "product": cheese()}),
        json!({"action": "patch", "id": 3, "product": {"price": 1.5}, "ifMatch": tag}),
        json!({"action": "delete", "id": 4, "ifMatch": "*"}),
    ];
    let answer = writer.batch(&[], &operations).await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"), "{}", answer.text());
    let results = answer.json()["results"].as_array().unwrap().clone();
    let told: Vec<_> = results.iter().map(|result| result["outcome"].as_str().unwrap()).collect();
    assert_eq!(told, ["created", "created", "replaced", "patched", "deleted"]);
    let ids: Vec<_> = results.iter().map(|result| result["id"].as_u64().unwrap()).collect();
    assert_eq!(ids[1..], [9, 2, 3, 4]);
    assert!(ids[0] > 4 && ids[0] != 9, "{ids:?}");
    assert_eq!(writer.count().await, 5);
    assert_eq!(results[4].get("etag"), None);
    let next: Vec<_> = results[..4]
        .iter()
        .map(|result| {
            json!({"action": "patch", "id": result["id"], "product": {"price": 7}, "ifMatch": result["etag"]})
        })
        .collect();
    for result in &results[..4] {
        let read = writer.api.get(&format!("/products/{}", result["id"])).await;
        assert_eq!(read.header("etag"), result["etag"].as_str().unwrap());
    }
    assert_eq!(writer.batch(&[], &next).await.status, 200);
    // And only once.
    let again = writer.batch(&[], &next).await;
    assert_eq!(problem(&again), (409, "batch_refused".into()));
    assert_eq!(params(&again).len(), 4);
}

#[tokio::test]
async fn every_bad_operation_is_named_and_nothing_changes() {
    let writer = Writer::start_with(4, &[]).await;
    let operations = [
        json!({"action": "create", "product": cheese()}),
        json!({"action": "put", "id": 0, "product": {"name": "a", "price": -1}}),
        json!({"action": "patch", "id": 2, "product": {"price": null, "colour": 1}, "ifMatch": 5}),
        json!({"action": "jump", "id": 2}),
        json!("delete"),
        json!({"action": "delete", "id": 1, "product": {}}),
        json!({"action": "create", "id": 7, "product": cheese(), "ifMatch": "*"}),
        json!({"id": 1}),
        json!({"action": "put", "id": 3, "product": {"id": 4, "name": "a", "description": "", "category": "a", "price": 1}}),
        json!({"action": "patch", "product": {"price": 1}}),
    ];
    let answer = writer.batch(&[], &operations).await;
    assert_eq!(problem(&answer), (400, "invalid_body".into()), "{}", answer.text());
    let expected = [
        ("operations[1].id", "malformed"),
        ("operations[1].product.description", "missing"),
        ("operations[1].product.category", "missing"),
        ("operations[1].product.price", "malformed"),
        ("operations[2].product.colour", "unknown_field"),
        ("operations[2].product.price", "malformed"),
        ("operations[2].ifMatch", "malformed"),
        ("operations[3].action", "malformed"),
        ("operations[4]", "malformed"),
        ("operations[5].product", "unknown_field"),
        ("operations[6].id", "unknown_field"),
        ("operations[6].ifMatch", "unknown_field"),
        ("operations[7].action", "missing"),
        ("operations[8].product.id", "read_only"),
        ("operations[9].id", "missing"),
    ];
    assert_eq!(names(&params(&answer)), expected);

    let before = writer.api.get("/products").await;
    let operations = [
        json!({"action": "create", "product": cheese()}),
        json!({"action": "patch", "id": 77, "product": {"price": 1}}),
        json!({"action": "put", "id": 1, "product": cheese(), "ifNoneMatch": "*"}),
        json!({"action": "delete", "id": 2, "ifMatch": "\"other\""}),
        json!({"action": "delete", "id": 3}),
        json!({"action": "delete", "id": 78}),
        json!({"action": "put", "id": 79, "product": cheese(), "ifMatch": "*"}),
    ];
    let answer = writer.batch(&[], &operations).await;
    assert_eq!(problem(&answer), (409, "batch_refused".into()));
    let expected = [
        ("operations[1]", "not_found"),
        ("operations[2]", "precondition_failed"),
        ("operations[3]", "precondition_failed"),
        ("operations[5]", "not_found"),
        ("operations[6]", "precondition_failed"),
    ];
    assert_eq!(names(&params(&answer)), expected);
    let twice = [json!({"action": "delete", "id": 3}), json!({"action": "patch", "id": 3, "product": {}})];
    let answer = writer.batch(&[], &twice).await;
    assert_eq!((problem(&answer).0, names(&params(&answer))), (400, vec![("operations[1].id", "repeated")]));
    // A single one is named by its index too.
    let one = writer.batch(&[], &[json!({"action": "delete", "id": 78})]).await;
    assert_eq!((problem(&one).0, names(&params(&one))), (409, vec![("operations[0]", "not_found")]));
    let after = writer.api.get("/products").await;
    assert_eq!((after.body, writer.count().await), (before.body, 4));
}

#[tokio::test]
async fn a_batch_has_1_to_1000_operations_in_an_object() {
    let writer = Writer::start_with(0, &[("REQUEST_TIMEOUT", "20s")]).await;
    let operations: Vec<_> =
        (1..=1_001).map(|id| json!({"action": "put", "id": id, "product": cheese()})).collect();
    for operations in [&operations[..], &[]] {
        let answer = writer.batch(&[], operations).await;
        assert_eq!(problem(&answer), (400, "invalid_body".into()));
        assert_eq!(names(&params(&answer)), [("operations", "out_of_range")]);
    }
    for (body, expected) in [
        (json!({}), [("operations", "missing")]),
        (json!({"operations": {}}), [("operations", "malformed")]),
        (json!([]), [("body", "malformed")]),
        (json!({"operations": operations[..1], "atomic": true}), [("atomic", "unknown_field")]),
    ] {
        let answer = writer.send("POST", "/products/batch", &[], &body.to_string()).await;
        assert_eq!(problem(&answer), (400, "invalid_body".into()), "{}", answer.text());
        assert_eq!(names(&params(&answer)), expected);
    }
    assert_eq!(writer.count().await, 0);
    let answer = writer.batch(&[], &operations[..1_000]).await;
    assert_eq!((answer.status, answer.json()["results"].as_array().unwrap().len()), (200, 1_000));
    let list = writer.api.get("/products?search=cheese&total=true&limit=1").await.json();
    assert_eq!(list["total"], 1_000);
    // All of them cannot be done, and all are named.
    let again: Vec<_> = (1..=1_000)
        .map(|id| json!({"action": "put", "id": id, "product": cheese(), "ifNoneMatch": "*"}))
        .collect();
    let answer = writer.batch(&[], &again).await;
    assert_eq!((problem(&answer).0, params(&answer).len()), (409, 1_000));
    let bad: Vec<Value> = (0..1_000).map(|_| json!({"action": "create", "product": {"name": "a"}})).collect();
    let answer = writer.batch(&[], &bad).await;
    assert_eq!((problem(&answer).0, params(&answer).len()), (400, 3_000));
}

/// What names fields that do not exist does not make an answer that is much larger than itself.
#[tokio::test]
async fn a_flood_of_unknown_fields_is_named_in_part() {
    let writer = Writer::start().await;
    let members = (0..20_000).map(|number| format!("\"a{number}\":1")).collect::<Vec<_>>().join(",");
    for (path, method, body) in [
        ("/products", "POST", format!("{{{members}}}")),
        ("/products/1", "PATCH", format!("{{{members}}}")),
        (
            "/products/batch",
            "POST",
            format!("{{\"operations\":[{{\"action\":\"create\",{members}}}],{members}}}"),
        ),
    ] {
        let answer = writer.send(method, path, &[], &body).await;
        assert_eq!(problem(&answer), (400, "invalid_body".into()), "{path}");
        assert!((32..100).contains(&params(&answer).len()), "{path}: {}", params(&answer).len());
    }
}

/// Four batches may be read at the same time. Single writes are not kept waiting by them.
#[tokio::test(flavor = "multi_thread")]
async fn the_fifth_batch_is_refused_while_four_are_read() {
    let writer = Writer::start_with(0, &[("BODY_TIMEOUT", "1h"), ("REQUEST_TIMEOUT", "1h")]).await;
    let address = writer.api.url("").replace("http://", "");
    let batch = async || writer.batch(&[], &[json!({"action": "create", "product": cheese()})]).await;
    let deadline = Instant::now() + PATIENCE;
    let mut held = Vec::new();
    // One of them may be refused where the batch between them was still read.
    let refused = loop {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let begun = raw(&writer.token, "POST", "/products/batch", 100, "{");
        stream.write_all(begun.as_bytes()).await.unwrap();
        held.push(stream);
        let answer = batch().await;
        if answer.status != 200 {
            break answer;
        }
        assert!(Instant::now() < deadline, "{} are read", held.len());
    };
    assert!(held.len() >= 4, "{}", held.len());
    assert_eq!(problem(&refused), (503, "overloaded".into()));
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(writer.post(&cheese()).await.status, 201);
    drop(held);
    while batch().await.status != 200 {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
