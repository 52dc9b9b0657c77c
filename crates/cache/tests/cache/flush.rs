use farmlokal_cache::{FlushError, Flusher, RedisConfig, Source};
use farmlokal_devstack::Redis;
use redis::{InfoDict, aio::MultiplexedConnection};

use crate::fixture::{
    Layer, answer, config, connected, eventually, get, get_without_database, key, put, raw,
};

#[tokio::test]
async fn an_answer_comes_from_the_nearest_layer_that_has_it() {
    let redis = Redis::start().unwrap();
    let cache = connected(redis.url(), &config(Layer::On)).await;
    let other = connected(redis.url(), &config(Layer::On)).await;
    put(&cache, &redis, "key", "a").await;
    assert_eq!(get(&cache, "key", "b").await, answer("a", Source::InProcess));
    assert_eq!(get(&other, "key", "b").await, answer("a", Source::Redis));
    assert_eq!(get(&other, "key", "b").await, answer("a", Source::InProcess));
    assert!(cache.get_in_process(&key("key")).is_some());
    assert!(cache.get_in_process(&key("another")).is_none());
}

#[tokio::test]
async fn a_flush_removes_every_entry_and_nothing_else() {
    let redis = Redis::start().unwrap();
    let cache = connected(redis.url(), &config(Layer::Off)).await;
    let mut raw = raw(&redis).await;
    for n in 0..2500 {
        get(&cache, &format!("item:{n}"), "a").await;
    }
    // Fills are stored after they are answered.
    eventually("all are stored", async || {
        redis::cmd("KEYS").arg("products:*").query_async::<Vec<String>>(&mut raw).await.unwrap().len() == 2500
    })
    .await;
    redis::cmd("SET").arg("another").arg("key").exec_async(&mut raw).await.unwrap();

    let flusher = Flusher::new(&RedisConfig::new(redis.url())).unwrap();
    assert_eq!(flusher.flush().await.unwrap().keys, 2500);
    let mut left: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut raw).await.unwrap();
    left.retain(|key| !key.starts_with("farmlokal:"));
    assert_eq!(left, ["another"]);
    assert_eq!(get(&cache, "item:1", "b").await, answer("b", Source::Miss));
}

/// Wherever a flush is abandoned, the next one does all that it left undone.
#[tokio::test]
async fn a_flush_that_was_abandoned_is_finished_by_the_next() {
    let redis = Redis::start().unwrap();
    let cache = connected(redis.url(), &config(Layer::Off)).await;
    put(&cache, &redis, "key", "old").await;
    let mut raw = raw(&redis).await;
    let keys = 20_000;
    let flusher = Flusher::new(&RedisConfig::new(redis.url())).unwrap();
    for stop_after in [0, 1, 3, 10] {
        let mut fill = redis::pipe();
        for n in 0..keys {
            fill.set(format!("products:{{0}}:{n}"), "dead").ignore();
        }
        fill.exec_async(&mut raw).await.unwrap();
        let mut polls = 0;
        let mut flush = Box::pin(flusher.flush());
        let abandoned = std::future::poll_fn(|context| {
            polls += 1;
            if polls > stop_after {
                std::task::Poll::Ready(true)
            } else {
                flush.as_mut().poll(context).map(|_| false)
            }
        });
        assert!(abandoned.await, "a flush of {keys} keys takes more than {stop_after} steps");
        drop(flush);
        flusher.flush().await.unwrap();
        let left: Vec<String> = redis::cmd("KEYS").arg("products:*").query_async(&mut raw).await.unwrap();
        assert!(left.is_empty(), "{} left after {stop_after} steps", left.len());
    }
    assert_eq!(get(&cache, "key", "new").await, answer("new", Source::Miss));
}

#[tokio::test]
async fn a_flush_by_another_process_reaches_the_in_process_layer() {
    let redis = Redis::start().unwrap();
    let cache = connected(redis.url(), &config(Layer::On)).await;
    get(&cache, "key", "a").await;
    assert!(cache.get_in_process(&key("key")).is_some());
    Flusher::new(&RedisConfig::new(redis.url())).unwrap().flush().await.unwrap();
    // Within its time to live of 5 s it goes away for no other reason.
    let heard = async {
        while cache.get_in_process(&key("key")).is_some() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(3), heard).await.unwrap();
    assert_eq!(get(&cache, "key", "b").await.0, "b");
}

#[tokio::test]
async fn entries_end_with_their_generation() {
    let redis = Redis::start().unwrap();
    let cache = connected(redis.url(), &config(Layer::Off)).await;
    put(&cache, &redis, "key", "a").await;
    let mut raw = raw(&redis).await;
    for tag in 0..8 {
        let generation = format!("farmlokal:generation:lists:{{{tag}}}");
        redis::cmd("DEL").arg(generation).exec_async(&mut raw).await.unwrap();
    }
    assert_eq!(get(&cache, "key", "b").await, answer("b", Source::Miss));
    eventually("the key is filled again", async || {
        get_without_database(&cache, "key").await == Ok(answer("b", Source::Redis))
    })
    .await;
}

/// A server that lost its latest writes has the old entries and the old generations, which fit each other.
#[tokio::test]
async fn a_server_restored_from_before_a_flush_serves_nothing_from_before_it() {
    let mut redis = Redis::start().unwrap();
    let cache = connected(redis.url(), &config(Layer::Off)).await;
    put(&cache, &redis, "key", "old").await;
    cache.close().await;
    let mut before = raw(&redis).await;
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut before).await.unwrap();
    let snapshot: Vec<Vec<u8>> = redis::cmd("MGET").arg(&keys).query_async(&mut before).await.unwrap();
    assert!(keys.iter().any(|key| key.starts_with("products:")), "{keys:?}");

    redis.stop().unwrap();
    redis.start_again().unwrap();
    let mut restored = raw(&redis).await;
    for (key, value) in keys.iter().zip(snapshot) {
        redis::cmd("SET").arg(key).arg(value).exec_async(&mut restored).await.unwrap();
    }
    let cache = connected(redis.url(), &config(Layer::Off)).await;
    assert_eq!(get(&cache, "key", "new").await, answer("new", Source::Miss));
}

#[tokio::test]
async fn a_reconnect_to_the_same_server_keeps_its_entries() {
    let redis = Redis::start().unwrap();
    let cache = connected(redis.url(), &config(Layer::Off)).await;
    put(&cache, &redis, "key", "a").await;
    let again = connected(redis.url(), &config(Layer::Off)).await;
    assert_eq!(get(&again, "key", "b").await, answer("a", Source::Redis));
}

#[tokio::test]
async fn a_flush_without_redis_fails_and_says_that_it_did_nothing() {
    let mut redis = Redis::start().unwrap();
    let flusher = Flusher::new(&RedisConfig::new(redis.url())).unwrap();
    redis.stop().unwrap();
    assert!(matches!(flusher.flush().await, Err(FlushError::Invalidate(_))));
    redis.start_again().unwrap();
    flusher.flush().await.unwrap();
    flusher.check().await.unwrap();
}

/// The pool does not test its connections, so it may have one that Redis has closed.
#[tokio::test]
async fn a_flush_after_a_restart_of_redis_needs_no_second_try() {
    let mut redis = Redis::start().unwrap();
    let flusher = Flusher::new(&RedisConfig::new(redis.url())).unwrap();
    flusher.flush().await.unwrap();
    redis.stop().unwrap();
    redis.start_again().unwrap();
    flusher.flush().await.unwrap();
    redis.stop().unwrap();
    redis.start_again().unwrap();
    flusher.invalidate_products(&[1]).await.unwrap();
}

#[tokio::test]
async fn changes_at_once_share_two_connections() {
    let redis = Redis::start().unwrap();
    let flusher = Flusher::new(&RedisConfig::new(redis.url())).unwrap();
    let mut raw = raw(&redis).await;
    let received = async |raw: &mut MultiplexedConnection| {
        let info: InfoDict = redis::cmd("INFO").arg("stats").query_async(raw).await.unwrap();
        info.get::<u64>("total_connections_received").unwrap()
    };
    let before = received(&mut raw).await;
    let change = || flusher.invalidate_products(&[1]);
    tokio::try_join!(change(), change(), change(), change(), change()).unwrap();
    assert_eq!(received(&mut raw).await - before, 2);
}

#[tokio::test]
async fn a_flush_of_a_redis_that_does_not_answer_ends() {
    let redis = Redis::start().unwrap();
    let flusher = Flusher::new(&RedisConfig::new(redis.url())).unwrap();
    redis.pause().unwrap();
    assert!(matches!(flusher.flush().await, Err(FlushError::Invalidate(_))));
}
