//! One effect, however often and however close together an event is delivered.

use std::time::{Duration, Instant};

use farmlokal_catalog::{Change, Receipt};
use farmlokal_testing::catalog_config;
use sha2::Digest as _;

use super::sender::{Event, SECRET, ago, api, deliver, post, problem, status, try_post};
use crate::harness::{Api, PATIENCE, insert_products};

async fn inbox(api: &Api) -> i64 {
    sqlx::query_scalar("SELECT COUNT(*) FROM webhook_events").fetch_one(&api.database.pool()).await.unwrap()
}

async fn redis(api: &Api, command: &[&str]) -> redis::Value {
    let client = redis::Client::open(api.redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    redis::cmd(command[0]).arg(&command[1..]).query_async(&mut connection).await.unwrap()
}

/// Delivers the event fifty times at once, each until it is a 200, and returns what they were told.
async fn fifty(api: &Api, event: &Event) -> Vec<String> {
    let deliveries: Vec<_> = (0..50)
        .map(|_| {
            let (client, url, event) = (api.client(), api.url("/webhook"), event.clone());
            tokio::spawn(async move {
                let deadline = Instant::now() + PATIENCE;
                loop {
                    let body = event.body.to_string();
                    let answer = try_post(&client, &url, &event.headers(SECRET), body).await.unwrap();
                    if answer.status == 200 {
                        return status(&answer);
                    }
                    assert_eq!(problem(&answer), (409, "event_in_flight".into()));
                    assert_eq!(answer.header("retry-after"), "1");
                    assert!(Instant::now() < deadline);
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            })
        })
        .collect();
    let mut statuses = Vec::new();
    for delivery in deliveries {
        statuses.push(delivery.await.unwrap());
    }
    statuses.sort();
    statuses
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_at_once_have_one_effect() {
    let api = api().await;
    let statuses = fifty(&api, &Event::upsert(7, "Racket", 1.0, ago(1))).await;
    assert_eq!(
        (statuses[0].as_str(), statuses[1].as_str(), statuses[49].as_str()),
        ("applied", "duplicate", "duplicate")
    );
    assert_eq!(inbox(&api).await, 1);
}

/// Nobody can make the caches forget without Redis, so no sender gets a 200.
#[tokio::test(flavor = "multi_thread")]
async fn fifty_at_once_have_one_effect_without_redis() {
    let mut api = api().await;
    api.redis.stop().unwrap();
    let event = Event::upsert(7, "Racket", 1.0, ago(1));
    let deliveries = (0..50).map(|_| {
        let (client, url, event) = (api.client(), api.url("/webhook"), event.clone());
        tokio::spawn(async move {
            try_post(&client, &url, &event.headers(SECRET), event.body.to_string()).await.unwrap()
        })
    });
    for delivery in deliveries.collect::<Vec<_>>() {
        assert_eq!(problem(&delivery.await.unwrap()), (503, "invalidation_failed".into()));
    }
    assert_eq!(inbox(&api).await, 1);
    api.redis.start_again().unwrap();
    assert_eq!(fifty(&api, &event).await, vec!["duplicate"; 50]);
    assert_eq!(inbox(&api).await, 1);
}

#[tokio::test]
async fn a_duplicate_is_told_by_redis_and_by_the_inbox() {
    let api = api().await;
    let event = Event::upsert(7, "Racket", 1.0, ago(1));
    assert_eq!(status(&deliver(&api, &event).await), "applied");
    let key = format!("farmlokal:webhook:{}", event.id);
    let redis::Value::Int(lives) = redis(&api, &["PTTL", &key]).await else { panic!() };
    assert!((86_000_000..=86_400_000).contains(&lives), "{lives}");
    assert_eq!(status(&deliver(&api, &event).await), "duplicate");
    redis(&api, &["FLUSHALL"]).await;
    assert_eq!(status(&deliver(&api, &event).await), "duplicate");
    assert_eq!(inbox(&api).await, 1);
}

#[tokio::test]
async fn an_id_with_another_payload_is_another_event() {
    let api = api().await;
    let event = Event::upsert(7, "Racket", 1.0, ago(20));
    assert_eq!(status(&deliver(&api, &event).await), "applied");
    let mut other = Event::upsert(8, "Ball", 2.0, ago(10));
    other.id.clone_from(&event.id);
    other.body["eventId"] = event.id.clone().into();
    assert_eq!(problem(&deliver(&api, &other).await), (422, "event_conflict".into()));
    redis(&api, &["FLUSHALL"]).await;
    assert_eq!(problem(&deliver(&api, &other).await), (422, "event_conflict".into()));
    assert_eq!(api.get("/products/8").await.status, 404);
    // The conflict is not held against the event itself.
    assert_eq!(status(&deliver(&api, &event).await), "duplicate");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_an_event_is_applied_another_delivery_is_told_to_wait() {
    let api = api().await;
    let event = Event::upsert(7, "Racket", 1.0, ago(1));
    let pool = api.database.pool();
    let mut held = pool.acquire().await.unwrap();
    sqlx::raw_sql("LOCK TABLES product_versions WRITE").execute(&mut *held).await.unwrap();
    let first = tokio::spawn({
        let (client, url, event) = (api.client(), api.url("/webhook"), event.clone());
        async move { try_post(&client, &url, &event.headers(SECRET), event.body.to_string()).await.unwrap() }
    });
    let key = format!("farmlokal:webhook:{}", event.id);
    while redis(&api, &["EXISTS", &key]).await != redis::Value::Int(1) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let second = deliver(&api, &event).await;
    sqlx::raw_sql("UNLOCK TABLES").execute(&mut *held).await.unwrap();
    assert_eq!(problem(&second), (409, "event_in_flight".into()));
    assert_eq!(second.header("retry-after"), "1");
    assert_eq!(status(&first.await.unwrap()), "applied");
    assert_eq!(status(&deliver(&api, &event).await), "duplicate");
}

/// A process that is killed between its commit and its flush leaves the cache as it was.
#[tokio::test]
async fn a_delivery_cut_off_after_its_commit_is_finished_by_the_next() {
    let api = api().await;
    insert_products(&api.database, 7).await;
    assert_eq!(api.get("/products/7").await.json()["name"], "Ball");
    let event = Event::new("product.price_changed", ago(1), &serde_json::json!({"id": 7, "price": 77.0}));
    let body = event.body.to_string();
    let catalog = api.database.catalog(&catalog_config());
    let committed = farmlokal_catalog::Event {
        id: event.id.clone(),
        product: 7,
        occurred_at: event.body["occurredAt"].as_str().unwrap().parse().unwrap(),
        change: Change::PriceChange("77".parse().unwrap()),
        payload_hash: sha2::Sha256::digest(&body).into(),
    };
    assert!(matches!(catalog.apply(&committed).await.unwrap(), Receipt::New(_)));
    assert_ne!(api.get("/products/7").await.json()["price"], 77.0, "nothing has flushed the cache");
    assert_eq!(status(&post(&api, &event.headers(SECRET), body).await), "duplicate");
    assert_eq!(api.get("/products/7").await.json()["price"], 77.0);
}

/// A 200 would be the last that is heard of the event: what was cached before it would stay.
#[tokio::test]
async fn an_invalidation_that_failed_is_made_up_for_by_the_next_delivery() {
    // Nothing becomes fresh by itself while this runs, and all that is old is in Redis.
    let settings = [("WEBHOOK_SECRETS", SECRET), ("CACHE_TTL", "10m"), ("LOCAL_CACHE", "false")];
    let mut api = Api::with(&settings).await;
    insert_products(&api.database, 7).await;
    api.until("/products/7", |answer| answer.header("cache-status").contains("hit")).await;
    api.redis.pause().unwrap();
    let event = Event::price(7, 77.0, ago(1));
    let refused = deliver(&api, &event).await;
    assert_eq!(problem(&refused), (503, "invalidation_failed".into()));
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(inbox(&api).await, 1);
    assert_eq!(api.metric("farmlokal_invalidation_failing", &[]).await, 1.0);
    // The process that knew of it may be gone by then.
    api.process().signal("KILL");
    api.process().ended().await;
    api.redis.resume().unwrap();
    api.start_again(&settings).await;
    let deadline = Instant::now() + PATIENCE;
    let again = loop {
        let again = deliver(&api, &event).await;
        if again.status == 200 {
            break again;
        }
        // The claim may have reached Redis after all: then it has to expire.
        assert!(again.status == 409 || again.status == 503, "{again:?}");
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    assert_eq!(status(&again), "duplicate");
    assert_eq!(api.get("/products/7").await.json()["price"], 77.0);
    assert_eq!(api.metric("farmlokal_invalidation_failing", &[]).await, 0.0);
    assert_eq!(inbox(&api).await, 1);
    api.process().signal("TERM");
    assert_eq!(api.process().ended().await.code(), Some(0));
}
