use std::{sync::Arc, time::Duration};

use farmlokal_cache::{Cache, CacheConfig, Source};
use farmlokal_devstack::Redis;

use crate::fixture::{
    Layer, Text, answer, config, connected, eventually, get, get_without_database, key, put,
};

const DOWN: Result<(String, Source), &str> = Err("the database is down");

fn short_lived(layer: Layer) -> CacheConfig {
    CacheConfig { fresh: Duration::from_millis(300), ..config(layer) }
}

/// A cache whose entry for "key" has expired.
async fn with_expired_entry(redis: &Redis, config: &CacheConfig) -> Cache<Text> {
    let cache = connected(redis.url(), config).await;
    put(&cache, redis, "key", "a").await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    cache
}

async fn ask(cache: &Cache<Text>) -> Result<(String, Source), &'static str> {
    get_without_database(cache, "key").await.map_err(|error: Arc<&'static str>| *error)
}

#[tokio::test]
async fn an_expired_entry_is_served_while_the_database_fails_and_only_then() {
    let redis = Redis::start().unwrap();
    for layer in [Layer::On, Layer::Off] {
        let cache = with_expired_entry(&redis, &short_lived(layer)).await;
        assert_eq!(ask(&cache).await, Ok(answer("a", Source::Stale)), "{layer:?}");
        assert_eq!(get(&cache, "key", "b").await, answer("b", Source::Miss), "{layer:?}");
        cache.flush().await.unwrap();
    }
}

#[tokio::test]
async fn an_expired_entry_is_served_when_the_fill_panics() {
    let redis = Redis::start().unwrap();
    let cache = with_expired_entry(&redis, &short_lived(Layer::Off)).await;
    let lookup = cache
        .get_or_fill(&key("key"), || async {
            assert!(std::hint::black_box(false), "on purpose");
            Err("the database is down")
        })
        .await
        .unwrap();
    assert_eq!(lookup.source, Source::Stale);
    assert!(lookup.age >= Duration::from_millis(300));
}

#[tokio::test]
async fn nothing_expired_is_served_after_a_flush() {
    let redis = Redis::start().unwrap();
    for layer in [Layer::On, Layer::Off] {
        let cache = with_expired_entry(&redis, &short_lived(layer)).await;
        assert_eq!(ask(&cache).await, Ok(answer("a", Source::Stale)), "{layer:?}");
        cache.flush().await.unwrap();
        assert_eq!(ask(&cache).await, DOWN, "{layer:?}");
    }
}

#[tokio::test]
async fn nothing_expired_is_served_when_that_is_switched_off() {
    let redis = Redis::start().unwrap();
    let config = CacheConfig { stale: Duration::ZERO, ..short_lived(Layer::Off) };
    let cache = connected(redis.url(), &config).await;
    get(&cache, "key", "a").await;
    eventually("the entry has expired", async || ask(&cache).await == DOWN).await;
}

/// Without Redis nobody can tell whether a flush was missed.
#[tokio::test]
async fn nothing_is_served_from_memory_when_redis_is_gone_too() {
    let mut redis = Redis::start().unwrap();
    let cache = connected(redis.url(), &config(Layer::On)).await;
    get(&cache, "key", "a").await;
    assert_eq!(ask(&cache).await, Ok(answer("a", Source::InProcess)));
    redis.stop().unwrap();
    eventually("the loss is seen", async || !cache.state().subscribed).await;
    assert_eq!(ask(&cache).await, DOWN);
}
