use std::{
    convert::Infallible,
    future::ready,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use farmlokal_cache::{Cache, CacheConfig, RedisState, Source};
use farmlokal_devstack::Redis;

use crate::fixture::{Local, Text, answer, config, connected, eventually, get, text};

/// Callers that never pause. Each answer is checked; an error would not even compile.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    callers: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    fn on(cache: &Cache<Text>) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let callers = (0..16)
            .map(|caller| {
                let (cache, stop, answered) = (cache.clone(), Arc::clone(&stop), Arc::clone(&answered));
                tokio::spawn(async move {
                    let mut n = caller;
                    while !stop.load(Ordering::Relaxed) {
                        n += 7;
                        let key = format!("item:{}", n % 50);
                        assert_eq!(get(&cache, &key, &key).await.0, key);
                        answered.fetch_add(1, Ordering::Relaxed);
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();
        Self { stop, answered, callers }
    }

    /// Waits until the load has seen the present state of things for a while.
    async fn goes_on(&self) {
        let before = self.answered.load(Ordering::Relaxed);
        eventually("requests are answered", async || self.answered.load(Ordering::Relaxed) > before + 200)
            .await;
    }

    async fn finish(self) {
        self.stop.store(true, Ordering::Relaxed);
        for caller in self.callers {
            caller.await.unwrap();
        }
    }
}

/// With the default timeout.
fn impatient(redis: &Redis, local: Local) -> CacheConfig {
    let mut config = config(redis, local);
    config.redis.timeout = Duration::from_millis(100);
    config
}

async fn survives_every_outage(local: Local) {
    let mut redis = Redis::start().unwrap();
    let cache = connected(impatient(&redis, local)).await;
    let well = cache.state();
    let gone = RedisState { up: false, subscribed: false };
    let load = Load::on(&cache);
    load.goes_on().await;

    redis.stop().unwrap();
    eventually("the loss of Redis is seen", async || cache.state() == gone).await;
    load.goes_on().await;
    redis.start_again().unwrap();
    eventually("Redis is used again after an empty restart", async || cache.state() == well).await;
    load.goes_on().await;

    redis.pause().unwrap();
    eventually("a silent Redis is seen", async || cache.state() == gone).await;
    load.goes_on().await;
    redis.resume().unwrap();
    eventually("Redis is used again after a pause", async || cache.state() == well).await;
    load.goes_on().await;
    load.finish().await;

    get(&cache, "after", "a").await;
    eventually("entries reach Redis again", async || {
        let other = connected(config(&redis, Local::Off)).await;
        get(&other, "after", "a").await.1 == Source::Redis
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_go_on_while_redis_dies_restarts_empty_and_stalls() {
    survives_every_outage(Local::On).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_go_on_without_the_local_layer_too() {
    survives_every_outage(Local::Off).await;
}

/// If each paid its timeouts, these would take minutes.
#[tokio::test]
async fn a_silent_redis_costs_one_timeout_and_not_one_for_each_request() {
    let redis = Redis::start().unwrap();
    let cache = connected(impatient(&redis, Local::Off)).await;
    redis.pause().unwrap();
    let requests = async {
        for n in 0..2000 {
            let key = format!("item:{n}");
            assert_eq!(get(&cache, &key, "a").await, answer("a", Source::Miss));
        }
    };
    tokio::time::timeout(Duration::from_secs(30), requests).await.unwrap();
    assert!(!cache.state().up);
}

/// The connection stays open, but nothing comes through it.
#[tokio::test]
async fn a_half_open_connection_ends_the_use_of_the_local_layer() {
    let redis = Redis::start().unwrap();
    let cache = connected(config(&redis, Local::On)).await;
    get(&cache, "key", "a").await;
    redis.pause().unwrap();
    // Its lease of 1.5 s lasts less than the entry's 5 s.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(cache.get_local("key").is_none());
    assert!(!cache.state().subscribed);
    redis.resume().unwrap();
    eventually("the layer is used again", async || {
        get(&cache, "key", "a").await;
        cache.get_local("key").is_some()
    })
    .await;
}

#[tokio::test]
async fn a_cache_starts_without_redis_and_finds_it_later() {
    let mut redis = Redis::start().unwrap();
    let config = impatient(&redis, Local::On);
    redis.stop().unwrap();
    let cache: Cache<Text> = Cache::new(config).unwrap();
    assert_eq!(get(&cache, "key", "a").await, answer("a", Source::Miss));
    redis.start_again().unwrap();
    eventually("Redis is found", async || cache.state() == RedisState { up: true, subscribed: true }).await;
}

#[tokio::test]
async fn a_closed_cache_answers_from_the_database() {
    let redis = Redis::start().unwrap();
    let cache = connected(config(&redis, Local::On)).await;
    get(&cache, "key", "a").await;
    cache.close().await;
    assert_eq!(cache.state(), RedisState { up: false, subscribed: false });
    let lookup = cache.get_or_fill("key", || ready(Ok::<_, Infallible>(text("b")))).await.unwrap();
    assert_eq!((lookup.value, lookup.source), (text("b"), Source::Miss));
}
