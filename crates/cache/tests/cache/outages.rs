use std::{
    future::ready,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use farmlokal_cache::{Cache, CacheConfig, RedisState, Source};
use farmlokal_devstack::Redis;

use crate::fixture::{Layer, Text, answer, config, connected, eventually, get, key, put, raw, start, text};

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
fn impatient(layer: Layer) -> CacheConfig {
    let mut config = config(layer);
    config.redis_timeout = Duration::from_millis(100);
    config
}

async fn survives_every_outage(layer: Layer) {
    let mut redis = Redis::start().unwrap();
    let cache = connected(redis.url(), &impatient(layer)).await;
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
        let other = connected(redis.url(), &config(Layer::Off)).await;
        get(&other, "after", "a").await.1 == Source::Redis
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_go_on_while_redis_dies_restarts_empty_and_stalls() {
    survives_every_outage(Layer::On).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_go_on_without_the_in_process_layer_too() {
    survives_every_outage(Layer::Off).await;
}

/// PINGs are late too, but only one that is missed for longer makes Redis count as lost.
#[tokio::test]
async fn a_late_reply_is_a_miss_of_that_request_and_nothing_else() {
    let redis = Redis::start().unwrap();
    let cache = connected(redis.url(), &impatient(Layer::Off)).await;
    put(&cache, &redis, "key", "a").await;
    let mut raw = raw(&redis).await;
    redis::cmd("CLIENT").arg(&["PAUSE", "300", "ALL"]).exec_async(&mut raw).await.unwrap();
    let paused = Instant::now();
    assert_eq!(get(&cache, "key", "b").await, answer("b", Source::Miss));
    while paused.elapsed() < Duration::from_millis(1_200) {
        assert!(cache.state().up, "{:?} after the first late reply", paused.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(get(&cache, "key", "b").await, answer("a", Source::Redis));
}

#[tokio::test]
async fn a_silent_redis_costs_a_request_one_timeout_and_after_a_second_nothing() {
    let redis = Redis::start().unwrap();
    let cache = connected(redis.url(), &impatient(Layer::Off)).await;
    put(&cache, &redis, "key", "a").await;
    let before = reads(&redis).await;
    assert!(before > 0);
    redis.pause().unwrap();
    let mut n = 0;
    let ask = async |n: u64| {
        assert_eq!(get(&cache, &format!("item:{n}"), "a").await, answer("a", Source::Miss));
    };
    while cache.state().up {
        n += 1;
        ask(n).await;
    }
    // Only requests that hang would take so long together.
    let skipped = async {
        for after in 0..2_000 {
            ask(n + after).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), skipped).await.expect("Redis is skipped");
    assert!(!cache.state().up);
    // What was sent meanwhile lies in the socket. More reads would be a second question to a Redis that has not answered
    // the first.
    redis.resume().unwrap();
    let reads = reads(&redis).await - before;
    assert!(reads <= n, "{reads} reads for {n} requests");
}

/// The reads that Redis has answered.
async fn reads(redis: &Redis) -> u64 {
    let stats: String =
        redis::cmd("INFO").arg("commandstats").query_async(&mut raw(redis).await).await.unwrap();
    let calls = stats.lines().find_map(|line| line.strip_prefix("cmdstat_mget:calls="));
    calls.map_or(0, |calls| calls.split(',').next().unwrap().parse().unwrap())
}

/// The connection stays open, but nothing comes through it.
#[tokio::test]
async fn a_half_open_connection_ends_the_use_of_the_in_process_layer() {
    let redis = Redis::start().unwrap();
    let cache = connected(redis.url(), &config(Layer::On)).await;
    get(&cache, "key", "a").await;
    redis.pause().unwrap();
    // Its lease of 1.5 s lasts less than the entry's 5 s.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(cache.get_in_process(&key("key")).is_none());
    assert!(!cache.state().subscribed);
    redis.resume().unwrap();
    eventually("the layer is used again", async || {
        get(&cache, "key", "a").await;
        cache.get_in_process(&key("key")).is_some()
    })
    .await;
}

#[tokio::test]
async fn a_cache_starts_without_redis_and_finds_it_later() {
    let mut redis = Redis::start().unwrap();
    let config = impatient(Layer::On);
    redis.stop().unwrap();
    let cache: Cache<Text> = start(redis.url(), &config).unwrap();
    assert_eq!(get(&cache, "key", "a").await, answer("a", Source::Miss));
    redis.start_again().unwrap();
    eventually("Redis is found", async || cache.state() == RedisState { up: true, subscribed: true }).await;
}

#[tokio::test]
async fn a_closed_cache_answers_from_the_database() {
    let redis = Redis::start().unwrap();
    let cache = connected(redis.url(), &config(Layer::On)).await;
    get(&cache, "key", "a").await;
    cache.close().await;
    assert_eq!(cache.state(), RedisState { up: false, subscribed: false });
    let lookup = cache.get_or_fill(&key("key"), || ready(Ok(text("b")))).await.unwrap();
    assert_eq!((lookup.value, lookup.source), (text("b"), Source::Miss));
}
