//! Bodies of writes, and those that are none.

use serde_json::{Value, json};

use super::fixture::{Writer, cheese, params, raw};
use super::issuer::with;
use crate::harness::Answer;
use crate::overload::exchange;
use crate::webhook::sender::problem;

#[track_caller]
fn assert_names(answer: &Answer, expected: &[(&str, &str)]) {
    assert_eq!(problem(answer), (400, "invalid_body".into()), "{}", answer.text());
    let named: Vec<_> = params(answer);
    let named: Vec<_> = named.iter().map(|(name, code)| (name.as_str(), code.as_str())).collect();
    assert_eq!(named, expected, "{}", answer.text());
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let writer = Writer::start().await;
    let malformed = |name| vec![(name, "malformed")];
    let mut cases: Vec<(Value, Vec<(&str, &str)>)> = vec![
        (json!({}), ["name", "description", "category", "price"].map(|name| (name, "missing")).into()),
        (
            json!({"name": 1, "description": null, "category": [], "price": "1", "x": 1}),
            vec![
                ("x", "unknown_field"),
                ("name", "malformed"),
                ("description", "malformed"),
                ("category", "malformed"),
                ("price", "malformed"),
            ],
        ),
    ];
    for (changes, expected) in [
        (json!({"name": ""}), malformed("name")),
        (json!({"name": " \u{200b} "}), malformed("name")),
        (json!({"name": "a\nb"}), malformed("name")),
        (json!({"name": "a".repeat(256)}), vec![("name", "too_long")]),
        (json!({"description": "a".repeat(1_001)}), vec![("description", "too_long")]),
        (json!({"category": " "}), malformed("category")),
        (json!({"category": "a".repeat(65)}), vec![("category", "too_long")]),
        (json!({"price": -1}), malformed("price")),
        (json!({"price": 1.005}), malformed("price")),
        (json!({"price": 1e300}), malformed("price")),
        (json!({"price": 100_000_000}), vec![("price", "out_of_range")]),
        (json!({"price": true}), malformed("price")),
        (json!({"Name": "Cheese", "é": 1}), vec![("Name", "unknown_field"), ("é", "unknown_field")]),
    ] {
        cases.push((with(cheese(), &changes), expected));
    }
    for (body, expected) in &cases {
        assert_names(&writer.post(body).await, expected);
        assert_names(&writer.put(1, &[], body).await, expected);
    }
    // What is wrong beyond the fields.
    for text in ["", "null", "[]", "\"a\"", "{", "{\"name\":\"a\"", "{} {}", "{\"name\":\"\\ud800\"}"] {
        let answer = writer.send("POST", "/products", &[], text).await;
        assert_eq!(problem(&answer), (400, "invalid_body".into()), "{text}");
    }
    let twice = r#"{"name":"a","name":"b","description":"","category":"c","price":1,"price":2}"#;
    let answer = writer.send("POST", "/products", &[], twice).await;
    assert_names(&answer, &[("name", "repeated"), ("price", "repeated")]);
    assert_eq!(writer.count().await, 0);
    // What fits, by a hair. Texts are stored without white space around them, in NFC.
    let longest = json!({
        "name": "ä".repeat(255), "description": "€".repeat(1_000), "category": " a\u{308} ", "price": 99_999_999.99,
    });
    let answer = writer.post(&longest).await;
    assert_eq!((answer.status, answer.json()["category"].as_str()), (201, Some("ä")), "{}", answer.text());
    assert_eq!(answer.json()["price"], 99_999_999.99);
}

#[tokio::test]
async fn a_patch_has_some_fields_and_null_is_none_of_them() {
    let writer = Writer::start().await;
    let created = writer.post(&cheese()).await;
    for name in ["name", "description", "category", "price"] {
        assert_names(&writer.patch(1, &[], &json!({name: null})).await, &[(name, "malformed")]);
    }
    let many = json!({"name": null, "price": -1, "colour": "red"});
    let expected = [("colour", "unknown_field"), ("name", "malformed"), ("price", "malformed")];
    assert_names(&writer.patch(1, &[], &many).await, &expected);
    // Nothing changes nothing.
    let same = writer.patch(1, &[("content-type", "application/merge-patch+json")], &json!({})).await;
    assert_eq!((same.status, same.json()), (200, created.json()));
    assert_eq!(same.header("etag"), created.header("etag"));
    for (name, value) in [("name", json!("Goat")), ("description", json!("")), ("category", json!("meat"))] {
        let patched = writer.patch(1, &[], &json!({name: value})).await;
        assert_eq!((patched.status, &patched.json()[name]), (200, &value));
    }
    let product = writer.api.get("/products/1").await.json();
    assert_eq!(product["price"], 12.5);
    assert_eq!(product["createdAt"], created.json()["createdAt"]);
}

#[tokio::test]
async fn what_a_get_gave_can_be_put_back() {
    let writer = Writer::start_with(3, &[]).await;
    let read = writer.api.get("/products/2").await;
    let mut product = read.json();
    let back = writer.send("PUT", "/products/2", &[("if-match", read.header("etag"))], read.text()).await;
    assert_eq!((back.status, back.json()), (200, product.clone()));
    product["name"] = "Goat".into();
    // A client that copies what the service has said changes nothing by it.
    product["createdAt"] = "2001-01-01T00:00:00Z".into();
    product["updatedAt"] = Value::Null;
    for answer in [writer.put(2, &[], &product).await, writer.patch(2, &[], &product).await] {
        assert_eq!((answer.status, &answer.json()["name"]), (200, &json!("Goat")), "{}", answer.text());
        assert_eq!(answer.json()["createdAt"], read.json()["createdAt"]);
    }
    for answer in [writer.put(3, &[], &product).await, writer.patch(3, &[], &product).await] {
        assert_names(&answer, &[("id", "read_only")]);
    }
    assert_names(&writer.post(&product).await, &[("id", "read_only")]);
    product["id"] = "2".into();
    assert_names(&writer.put(2, &[], &product).await, &[("id", "malformed")]);
}

#[tokio::test]
async fn a_body_is_json_and_not_compressed() {
    let writer = Writer::start().await;
    assert_eq!(
        writer.put(1, &[("content-type", "application/json; charset=utf-8")], &cheese()).await.status,
        201
    );
    let body = cheese().to_string();
    let refused = [
        ("POST", "/products", ("content-type", "text/plain")),
        ("POST", "/products", ("content-type", "application/merge-patch+json")),
        ("POST", "/products", ("content-encoding", "gzip")),
        ("PUT", "/products/1", ("content-type", "application/x-www-form-urlencoded")),
        ("PUT", "/products/1", ("content-encoding", "br")),
        ("PATCH", "/products/1", ("content-type", "application/json-patch+json")),
        ("PATCH", "/products/1", ("content-encoding", "zstd")),
        ("POST", "/products/batch", ("content-type", "application/jsonl")),
        ("POST", "/products/batch", ("content-encoding", "deflate")),
    ];
    for (method, path, header) in refused {
        let answer = writer.send(method, path, &[header], &body).await;
        assert_eq!(problem(&answer), (415, "unsupported_media_type".into()), "{method} {header:?}");
        // What would have been taken: of codings only where the coding was wrong.
        let accepted = if header.0 == "content-encoding" { "accept-encoding" } else { "accept" };
        let types = if method == "PATCH" {
            "application/merge-patch+json, application/json"
        } else {
            "application/json"
        };
        let expected = if accepted == "accept" { types } else { "identity" };
        assert_eq!(answer.header(accepted), expected, "{method} {header:?}");
        let other = if accepted == "accept" { "accept-encoding" } else { "accept" };
        assert!(!answer.headers.contains_key(other), "{answer:?}");
    }
    for kind in ["application/json", "application/merge-patch+json"] {
        assert_eq!(writer.patch(1, &[("content-type", kind)], &json!({"price": 1})).await.status, 200);
    }
    // It has no body that could be wrong.
    assert_eq!(
        writer.delete(1, &[("content-type", "text/plain"), ("content-encoding", "gzip")]).await.status,
        204
    );
}

#[tokio::test]
async fn bodies_are_bounded_in_size_and_time() {
    let settings = [("MAX_BODY", "1000"), ("MAX_BATCH_BODY", "3000"), ("BODY_TIMEOUT", "300ms")];
    let writer = Writer::start_with(0, &settings).await;
    let sized = |body: &Value, size: usize| {
        let body = body.to_string();
        format!("{body}{}", " ".repeat(size - body.len()))
    };
    let batch = json!({"operations": [{"action": "put", "id": 1, "product": cheese()}]});
    for (method, path, body, max) in [
        ("POST", "/products", &cheese(), 1_000),
        ("PUT", "/products/1", &cheese(), 1_000),
        ("PATCH", "/products/1", &json!({"price": 1}), 1_000),
        ("POST", "/products/batch", &batch, 3_000),
    ] {
        let fits = writer.send(method, path, &[], &sized(body, max)).await;
        assert!(fits.status < 300, "{path}: {}", fits.text());
        let too_large = writer.send(method, path, &[], &sized(body, max + 1)).await;
        assert_eq!(problem(&too_large), (413, "body_too_large".into()), "{path}");
        assert!(too_large.text().contains(&max.to_string()));
        let address = writer.api.url("").replace("http://", "");
        let slow = exchange(&address, &raw(&writer.token, method, path, 100, "{\"na")).await;
        assert!(slow.starts_with("HTTP/1.1 408 ") && slow.contains("\"body_too_slow\""), "{path}: {slow}");
        let cut = raw(&writer.token, method, path, 0, "")
            .replace("Content-Length: 0", "Transfer-Encoding: chunked");
        let malformed = exchange(&address, &format!("{cut}nonsense\r\n\r\n")).await;
        assert!(malformed.starts_with("HTTP/1.1 400 "), "{path}: {malformed}");
    }
    for (outcome, count) in [("body_too_large", 4.0), ("body_too_slow", 4.0), ("malformed_body", 4.0)] {
        let label = format!("outcome=\"{outcome}\"");
        assert_eq!(writer.api.metric("farmlokal_writes_total", &[&label]).await, count, "{outcome}");
    }
}
