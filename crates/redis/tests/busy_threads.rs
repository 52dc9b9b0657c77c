//! Threads that have too much to do share a connection.
#![allow(clippy::unwrap_used, missing_docs)]

use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use farmlokal_devstack::Redis;
use farmlokal_redis::{Connection, RedisConfig};
use redis::RedisResult;

/// Longer than anything here should take; only a test that fails anyway waits this long.
const PATIENCE: Duration = Duration::from_secs(20);
/// As many as there are requests in flight.
const OPERATIONS: usize = 2_048;

/// What a task can send when its turn comes, it sends then: it may be long until its next turn.
#[tokio::test(flavor = "multi_thread")]
async fn every_operation_is_sent_the_first_time_that_it_is_polled() {
    let redis = Redis::start().unwrap();
    let config = RedisConfig { timeout: PATIENCE, ..RedisConfig::new(redis.url()) };
    let connection = Connection::new(&config, "test").unwrap();
    tokio::spawn(Arc::clone(&connection).supervise());
    let deadline = Instant::now() + PATIENCE;
    while !connection.is_up() {
        assert!(Instant::now() < deadline, "never connected");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    let mut operations: Vec<_> = (0..OPERATIONS)
        .map(|number| {
            let operation = connection.run(move |mut connection| async move {
                let answer: RedisResult<usize> =
                    redis::cmd("ECHO").arg(number).query_async(&mut connection).await;
                answer
            });
            // As if each were a task of its own, with a budget of its own.
            Box::pin(tokio::task::unconstrained(operation))
        })
        .collect();
    let mut nobody = Context::from_waker(Waker::noop());
    for operation in &mut operations {
        let _ = operation.as_mut().poll(&mut nobody);
    }
    // The connection's own task runs elsewhere, and nobody else has a turn meanwhile.
    let mut other = redis::Client::open(redis.url()).unwrap().get_connection().unwrap();
    let all = format!("cmdstat_echo:calls={OPERATIONS},");
    while !redis::cmd("INFO").arg("commandstats").query::<String>(&mut other).unwrap().contains(&all) {
        assert!(Instant::now() < deadline, "some wait for their next turn");
        std::thread::sleep(Duration::from_millis(5));
    }
}
