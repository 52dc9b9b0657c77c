//! How much may be written, and what that leaves for reads.

use serde_json::json;

use super::fixture::{Writer, cheese};
use crate::webhook::sender::problem;

#[tokio::test]
async fn writes_have_a_quota_of_their_own_and_a_batch_is_one() {
    let writer = Writer::start_with(1, &[("RATE_LIMIT_WRITE", "6/3600"), ("RATE_LIMIT", "50/3600")]).await;
    // The fixture has written once, or more often until the keys were there.
    let batch = json!({"action": "put", "id": 1, "product": cheese()});
    let mut left = None;
    for _ in 0..6 {
        let answer = writer.batch(&[], std::slice::from_ref(&batch)).await;
        assert_eq!(answer.header("ratelimit-policy"), "\"write\";q=6;w=3600");
        let quota = answer.header("ratelimit");
        let rest: u64 =
            quota.strip_prefix("\"write\";r=").unwrap().split(';').next().unwrap().parse().unwrap();
        assert!(left.is_none_or(|left| rest <= left), "{quota}");
        left = Some(rest);
        assert!(matches!(answer.status, 200 | 429));
    }
    for (method, path) in [("POST", "/products"), ("PATCH", "/products/1"), ("POST", "/products/batch")] {
        let refused = writer.send(method, path, &[], "").await;
        assert_eq!(problem(&refused), (429, "rate_limited".into()), "{method} {path}");
        assert!(refused.header("retry-after").parse::<u64>().unwrap() > 0);
    }
    let read = writer.api.get("/products/1").await;
    assert_eq!((read.status, read.header("ratelimit-policy")), (200, "\"default\";q=50;w=3600"));
    assert!(writer.api.metric("farmlokal_rate_limited_total", &["policy=\"write\""]).await >= 3.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_go_on_while_every_connection_for_writes_is_in_use() {
    let settings = [
        ("DB_WRITE_CONNECTIONS", "1"),
        ("DB_ACQUIRE_TIMEOUT", "300ms"),
        ("LOCAL_CACHE", "false"),
        ("CACHE_TTL", "1s"),
    ];
    let writer = Writer::start_with(30, &settings).await;
    let mut held = writer.hold(1).await;
    let client = writer.client();
    let first = tokio::spawn(async move { client.send("DELETE", "/products/1", &[], "").await.unwrap() });
    held.until_met().await;
    for id in 2..5 {
        let refused = writer.patch(id, &[], &json!({"price": 1})).await;
        assert_eq!(problem(&refused), (503, "overloaded".into()), "{id}");
        assert_eq!(refused.header("retry-after"), "1");
        for path in [format!("/products/{id}"), format!("/products?limit={id}")] {
            let read = writer.api.get(&path).await;
            assert_eq!((read.status, read.header("cache-status")), (200, "FarmLokal; fwd=miss"), "{path}");
        }
    }
    assert_eq!(writer.api.get("/products?search=ball").await.status, 200);
    held.release().await;
    // Its own time may have been up.
    assert!(matches!(first.await.unwrap().status, 204 | 503));
    assert_eq!(writer.patch(2, &[], &json!({"price": 1})).await.status, 200);
    assert_eq!(writer.api.metric("farmlokal_writes_total", &["outcome=\"overloaded\""]).await, 3.0);
}
