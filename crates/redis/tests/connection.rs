//! A connection whose Redis is late, hangs, or closes it.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use farmlokal_devstack::Redis;
use farmlokal_redis::{Connection, RedisConfig};
use redis::RedisResult;

/// Longer than anything here should take; only a test that fails anyway waits this long.
const PATIENCE: Duration = Duration::from_secs(20);

async fn connected(redis: &Redis) -> Arc<Connection> {
    connected_with(RedisConfig::new(redis.url())).await
}

async fn connected_with(config: RedisConfig) -> Arc<Connection> {
    let connection = Connection::new(&config, "test").unwrap();
    tokio::spawn(Arc::clone(&connection).supervise());
    until(&connection, true).await;
    connection
}

/// Waits until the connection is up or down.
async fn until(connection: &Connection, up: bool) {
    let started = Instant::now();
    while connection.is_up() != up {
        assert!(started.elapsed() < PATIENCE, "it never came to it");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn echo(connection: &Connection) -> Option<u64> {
    let echo = |mut connection| async move {
        let answer: RedisResult<u64> = redis::cmd("ECHO").arg(7).query_async(&mut connection).await;
        answer
    };
    connection.run(echo).await
}

#[tokio::test]
async fn late_replies_fail_their_own_operations_only() {
    let redis = Redis::start().unwrap();
    let connection = connected(&redis).await;
    let mut raw = redis::Client::open(redis.url()).unwrap().get_connection().unwrap();
    redis::cmd("CLIENT").arg(&["PAUSE", "250", "ALL"]).exec(&mut raw).unwrap();
    assert_eq!(echo(&connection).await, None);
    assert!(connection.is_up());
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(connection.is_up());
    assert_eq!(echo(&connection).await, Some(7));
}

#[tokio::test]
async fn a_redis_that_hangs_or_goes_away_is_lost_and_found_again() {
    let mut redis = Redis::start().unwrap();
    let connection = connected(&redis).await;
    redis.pause().unwrap();
    until(&connection, false).await;
    assert_eq!(echo(&connection).await, None);
    redis.resume().unwrap();
    until(&connection, true).await;

    redis.stop().unwrap();
    until(&connection, false).await;
    redis.start_again().unwrap();
    until(&connection, true).await;
    assert_eq!(echo(&connection).await, Some(7));
}

#[tokio::test]
async fn how_long_operations_may_take_does_not_delay_the_loss_of_a_redis_that_hangs() {
    let redis = Redis::start().unwrap();
    let connection =
        connected_with(RedisConfig { timeout: 10 * PATIENCE, ..RedisConfig::new(redis.url()) }).await;
    redis.pause().unwrap();
    until(&connection, false).await;
}
