//! Changes of single products: what they make invalid, and what they leave alone.

use std::future::ready;
use std::pin::pin;
use std::task::Poll;

use farmlokal_cache::{Flusher, RedisConfig, Source};
use farmlokal_devstack::Redis;

use crate::fixture::{Layer, answer, config, connected, eventually, get, key, put, raw, seen, text};

#[tokio::test]
async fn a_change_of_one_product_ends_its_own_entry_and_the_lists_and_no_other() {
    let redis = Redis::start().unwrap();
    let cache = connected(redis.url(), &config(Layer::On)).await;
    for asked in ["item:1", "item:2", "list"] {
        put(&cache, &redis, asked, "old").await;
    }
    let flusher = Flusher::new(&RedisConfig::new(redis.url())).unwrap();
    flusher.invalidate_products(&[1]).await.unwrap();

    eventually("the change is heard of", async || {
        cache.get_in_process(&key("item:1")).is_none() && cache.get_in_process(&key("list")).is_none()
    })
    .await;
    assert_eq!(get(&cache, "item:2", "new").await, answer("old", Source::InProcess));
    let other = connected(redis.url(), &config(Layer::Off)).await;
    assert_eq!(get(&other, "item:2", "new").await, answer("old", Source::Redis));
    assert_eq!(get(&other, "item:1", "new").await, answer("new", Source::Miss));
    assert_eq!(get(&other, "list", "new").await, answer("new", Source::Miss));
}

#[tokio::test]
async fn an_answer_that_is_validated_is_never_from_memory() {
    let redis = Redis::start().unwrap();
    let cache = connected(redis.url(), &config(Layer::On)).await;
    let validated = async || {
        let found = cache.get_validated(&key("item:1"), || ready(Ok(text("new")))).await;
        seen(found.unwrap())
    };
    put(&cache, &redis, "item:1", "old").await;
    assert_eq!(validated().await, answer("old", Source::Redis));
    // A change that the layer has not heard of yet.
    let mut raw = raw(&redis).await;
    redis::cmd("DEL").arg("farmlokal:item:{1}:1").exec_async(&mut raw).await.unwrap();
    assert_eq!(get(&cache, "item:1", "new").await, answer("old", Source::InProcess));
    assert_eq!(validated().await, answer("new", Source::Miss));
}

#[tokio::test]
async fn the_process_that_changes_a_product_need_not_hear_of_it() {
    let redis = Redis::start().unwrap();
    let cache = connected(redis.url(), &config(Layer::On)).await;
    for asked in ["item:1", "item:2", "list"] {
        put(&cache, &redis, asked, "old").await;
    }
    cache.invalidate_products(&[1]).await.unwrap();
    assert!(cache.get_in_process(&key("item:1")).is_none());
    assert!(cache.get_in_process(&key("list")).is_none());
    assert!(cache.get_in_process(&key("item:2")).is_some());
}

#[tokio::test]
async fn a_token_that_was_evicted_is_a_miss_and_brings_no_old_entry_back() {
    let redis = Redis::start().unwrap();
    let cache = connected(redis.url(), &config(Layer::Off)).await;
    put(&cache, &redis, "item:1", "old").await;
    let mut raw = raw(&redis).await;
    for _ in 0..2 {
        let removed: u64 = redis::cmd("DEL").arg("farmlokal:item:{1}:1").query_async(&mut raw).await.unwrap();
        assert_eq!(removed, 1);
        // The fill fails, so that it cannot take the old entry's place.
        let found =
            cache.get_or_fill(&key("item:1"), || std::future::ready(Err("the database is down"))).await;
        assert!(found.is_err(), "{found:?}");
    }
    assert_eq!(get(&cache, "item:1", "new").await, answer("new", Source::Miss));
}

/// The first reader of each product makes a token. If the in-process layers heard of that, they would drop entries.
#[tokio::test]
async fn reading_products_disturbs_nobody() {
    let redis = Redis::start().unwrap();
    let cache = connected(redis.url(), &config(Layer::On)).await;
    get(&cache, "item:1", "a").await;
    get(&cache, "list", "a").await;
    let other = connected(redis.url(), &config(Layer::Off)).await;
    for slot_mate in 0..20 {
        put(&other, &redis, &format!("item:{}", 1 + 4096 * (slot_mate + 1)), "a").await;
    }
    assert!(cache.get_in_process(&key("item:1")).is_some());
    assert!(cache.get_in_process(&key("list")).is_some());
}

/// Whether this would come back at once.
async fn is_due(told: impl Future<Output = ()>) -> bool {
    let mut told = pin!(told);
    std::future::poll_fn(|context| Poll::Ready(told.as_mut().poll(context).is_ready())).await
}

#[tokio::test]
async fn whoever_wants_to_know_is_told_of_changes_and_of_flushes_apart() {
    let redis = Redis::start().unwrap();
    let cache = connected(redis.url(), &config(Layer::On)).await;
    // What the server's first use and the subscription itself said.
    eventually("the generations of the server are heard of", async || is_due(cache.changed()).await).await;
    while is_due(cache.changed()).await {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    // A server that was not known before is no flush.
    assert!(!is_due(cache.flushed()).await);
    let flusher = Flusher::new(&RedisConfig::new(redis.url())).unwrap();
    flusher.invalidate_products(&[1]).await.unwrap();
    cache.changed().await;
    assert!(!is_due(cache.flushed()).await);
    flusher.flush().await.unwrap();
    cache.flushed().await;
    assert!(!is_due(cache.flushed()).await);
    let mut raw = raw(&redis).await;
    redis::cmd("FLUSHALL").exec_async(&mut raw).await.unwrap();
    cache.flushed().await;
}

#[tokio::test]
async fn an_invalidation_is_one_round_trip() {
    let redis = Redis::start().unwrap();
    let flusher = Flusher::new(&RedisConfig::new(redis.url())).unwrap();
    flusher.check().await.unwrap();
    let mut raw = raw(&redis).await;
    redis::cmd("CONFIG").arg("RESETSTAT").exec_async(&mut raw).await.unwrap();
    flusher.invalidate_products(&[1, 2]).await.unwrap();
    let stats: String = redis::cmd("INFO").arg("commandstats").query_async(&mut raw).await.unwrap();
    let mut calls: Vec<_> = stats
        .lines()
        .filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(",usec="))
        .map(|(calls, _)| calls)
        .filter(|calls| !calls.starts_with("info") && !calls.starts_with("config"))
        .collect();
    calls.sort_unstable();
    // Two tokens; two slots and the generations of the lists. Nothing that tests the connection before.
    assert_eq!(calls, ["del:calls=2", "set:calls=10"]);
}
