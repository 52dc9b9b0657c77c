//! Events of one product that come in another order than they happened.

use super::sender::{Event, ago, api, deliver, status};
use crate::harness::insert_products;

#[tokio::test]
async fn an_older_event_changes_nothing() {
    let api = api().await;
    assert_eq!(status(&deliver(&api, &Event::upsert(7, "New", 2.0, ago(10))).await), "applied");
    assert_eq!(status(&deliver(&api, &Event::upsert(7, "Old", 1.0, ago(20))).await), "superseded");
    assert_eq!(status(&deliver(&api, &Event::price(7, 1.0, ago(15))).await), "superseded");
    assert_eq!(status(&deliver(&api, &Event::delete(7, ago(15))).await), "superseded");
    let product = api.get("/products/7").await.json();
    assert_eq!((product["name"].as_str(), product["price"].as_f64()), (Some("New"), Some(2.0)));
}

#[tokio::test]
async fn what_is_gone_stays_gone_until_a_newer_upsert() {
    let api = api().await;
    insert_products(&api.database, 7).await;
    assert_eq!(status(&deliver(&api, &Event::delete(7, ago(20))).await), "applied");
    assert_eq!(status(&deliver(&api, &Event::upsert(7, "Old", 1.0, ago(30))).await), "superseded");
    assert_eq!(api.get("/products/7").await.status, 404);
    assert_eq!(status(&deliver(&api, &Event::upsert(7, "New", 1.0, ago(10))).await), "applied");
    assert_eq!(api.get("/products/7").await.json()["name"], "New");
}

#[tokio::test]
async fn a_price_that_comes_before_its_product_is_kept_for_it() {
    let api = api().await;
    assert_eq!(status(&deliver(&api, &Event::price(7, 5.0, ago(10))).await), "deferred");
    assert_eq!(api.get("/products/7").await.status, 404);
    assert_eq!(status(&deliver(&api, &Event::upsert(7, "Late", 1.0, ago(20))).await), "applied");
    assert_eq!(api.get("/products/7").await.json()["price"], 5.0);
}
