//! What the tests share: a value, a cache that is ready, and shorthand for requests.

use std::{future::ready, sync::Arc, time::Duration};

use bytes::Bytes;
use farmlokal_cache::{Cache, CacheConfig, InvalidUrl, Key, Lookup, RedisConfig, RedisState, Source, Value};
use farmlokal_devstack::Redis;
use farmlokal_redis::Servers;
use tokio::task::JoinSet;

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Text(pub(crate) Bytes);

impl Value for Text {
    type Error = &'static str;

    fn encode(&self) -> Vec<u8> {
        self.0.to_vec()
    }
    fn decode(bytes: Bytes) -> Option<Self> {
        Some(Self(bytes))
    }
    fn weight(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap()
    }
}

pub(crate) fn text(text: impl Into<String>) -> Text {
    Text(Bytes::from(text.into()))
}

/// `item:7` is an item, everything else a list.
pub(crate) fn key(text: &str) -> Key {
    match text.strip_prefix("item:") {
        Some(id) => Key::Item(id.parse().unwrap()),
        None => Key::List(text.into()),
    }
}

/// Whether the in-process layer is in use.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Layer {
    On,
    Off,
}

pub(crate) fn config(layer: Layer) -> CacheConfig {
    CacheConfig {
        fresh: Duration::from_mins(1),
        stale: Duration::from_mins(5),
        in_process: layer == Layer::On,
        in_process_ttl: Duration::from_secs(5),
        in_process_mib: 64,
        // On a busy machine the default of 100 ms is an outage now and then; the tests of outages set it.
        redis_timeout: Duration::from_secs(5),
    }
}

/// A cache that connects in the background.
pub(crate) fn start(redis_url: impl Into<String>, config: &CacheConfig) -> Result<Cache<Text>, InvalidUrl> {
    let mut tasks = JoinSet::new();
    let redis = RedisConfig { timeout: config.redis_timeout, ..RedisConfig::new(redis_url) };
    let cache = Cache::new(Servers::new(&redis)?, config, &mut tasks);
    tasks.detach_all();
    Ok(cache)
}

/// A cache that is connected, and subscribed if it has the in-process layer.
pub(crate) async fn connected(redis_url: impl Into<String>, config: &CacheConfig) -> Cache<Text> {
    let subscribed = config.in_process;
    let cache = start(redis_url, config).unwrap();
    eventually("the cache connects", async || cache.state() == RedisState { up: true, subscribed }).await;
    cache
}

/// Waits for what must come about, for as long as a busy machine may need.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait)
        .await
        .unwrap_or_else(|_| panic!("not in 30 s: {what}"));
}

/// Asks for `asked` when the database would answer `value`.
pub(crate) async fn get(cache: &Cache<Text>, asked: &str, value: &str) -> (String, Source) {
    let value = text(value);
    let asked = key(asked);
    let lookup = cache.get_or_fill(&asked, move || ready(Ok(value)));
    seen(tokio::time::timeout(Duration::from_secs(30), lookup).await.expect("an answer comes").unwrap())
}

/// Has `key` filled with `value`, and waits until it is in Redis: a fill is stored after it is answered.
pub(crate) async fn put(cache: &Cache<Text>, redis: &Redis, key: &str, value: &str) {
    assert_eq!(get(cache, key, value).await, answer(value, Source::Miss));
    let mut raw = raw(redis).await;
    eventually("the entry is in Redis", async || {
        let pattern = format!("products:*:{key}");
        !redis::cmd("KEYS").arg(pattern).query_async::<Vec<String>>(&mut raw).await.unwrap().is_empty()
    })
    .await;
}

/// Asks for `key` when the database is down.
pub(crate) async fn get_without_database(
    cache: &Cache<Text>,
    asked: &str,
) -> Result<(String, Source), Arc<&'static str>> {
    cache.get_or_fill(&key(asked), || ready(Err("the database is down"))).await.map(seen)
}

pub(crate) fn seen(Lookup { value, source, .. }: Lookup<Text>) -> (String, Source) {
    (String::from_utf8(value.0.into()).unwrap(), source)
}

pub(crate) fn answer(value: &str, source: Source) -> (String, Source) {
    (value.to_owned(), source)
}

/// A connection for looking behind the cache's back.
pub(crate) async fn raw(redis: &Redis) -> redis::aio::MultiplexedConnection {
    redis::Client::open(redis.url()).unwrap().get_multiplexed_async_connection().await.unwrap()
}
