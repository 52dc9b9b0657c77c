//! Which status an error of the database becomes, and what is logged of it.

use std::time::Duration;

use crate::faults::Fragile;
use crate::harness::Api;

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_the_database_stops_at_its_deadline_is_timed_out() {
    let api = Api::with(&[("LIST_TIMEOUT", "200ms")]).await;
    let mut locked = api.database.pool().acquire().await.unwrap();
    sqlx::raw_sql("LOCK TABLES products WRITE").execute(&mut *locked).await.unwrap();
    for path in ["/products", "/products?minPrice=1", "/products/7", "/categories"] {
        let answer = api.get(path).await;
        assert_eq!((answer.status, answer.json()["code"].as_str()), (503, Some("timed_out")), "{path}");
        assert_eq!(answer.header("retry-after"), "1");
    }
    sqlx::raw_sql("UNLOCK TABLES").execute(&mut *locked).await.unwrap();
    assert_eq!(api.get("/products").await.status, 200);
}

/// Nothing in the database stops it then.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_gets_no_answer_in_time_is_timed_out() {
    let api = Fragile::start(&[("LIST_TIMEOUT", "100ms"), ("REQUEST_TIMEOUT", "20s")]).await;
    api.until("/products", |answer| answer.status == 200).await;
    api.database.pause().unwrap();
    // The health check finds the database down only later.
    let answer = api.get("/products?limit=7").await;
    api.database.resume().unwrap();
    assert_eq!((answer.status, answer.json()["code"].as_str()), (503, Some("timed_out")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_at_its_deadline_is_timed_out() {
    let api = Api::with(&[("LIST_TIMEOUT", "20s"), ("REQUEST_TIMEOUT", "200ms")]).await;
    let mut locked = api.database.pool().acquire().await.unwrap();
    sqlx::raw_sql("LOCK TABLES products WRITE").execute(&mut *locked).await.unwrap();
    let answer = api.get("/products?limit=7").await;
    sqlx::raw_sql("UNLOCK TABLES").execute(&mut *locked).await.unwrap();
    assert_eq!((answer.status, answer.json()["code"].as_str()), (503, Some("timed_out")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_down_is_logged_once_and_not_for_each_request() {
    let mut api = Fragile::start(&[]).await;
    let before = api.process.log().len();
    api.database.kill9().unwrap();
    for id in 1..=100 {
        let answer = api.get(&format!("/products/{id}")).await;
        assert_eq!(answer.json()["code"], "database_unavailable");
    }
    api.until("/health", |answer| answer.status == 503).await;
    for id in 101..=200 {
        assert_eq!(api.get(&format!("/products/{id}")).await.status, 503);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let lines: Vec<_> = api.process.log().split_off(before);
    let mut down: Vec<_> =
        lines.iter().filter(|line| line["level"] == "WARN" || line["level"] == "ERROR").collect();
    // The search index says for itself that it does not follow the database.
    down.sort_by_key(|line| line["message"].as_str());
    let messages: Vec<_> = down.iter().map(|line| line["message"].as_str().unwrap()).collect();
    let (health, index) = ("the database is down", "the search index does not follow the database");
    assert!(messages == [health] || messages == [health, index], "{down:?}");
    assert!(down[0]["cause"].is_string(), "{down:?}");
}
