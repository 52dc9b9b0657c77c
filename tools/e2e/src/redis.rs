//! A connection straight to Redis's pod: to make a flush long, and to see how far it is.

use std::time::Duration;

use anyhow::Result;
use farmlokal_testing::http::Target;
use redis::AsyncConnectionConfig;
pub(crate) use redis::aio::MultiplexedConnection as Redis;

/// Keys set by one script: some 20 ms of Redis's time, in which nobody else gets an answer.
const BATCH: u64 = 20_000;
/// Longer than a busy Redis takes. Where something between has gone without a word, no answer ever comes.
const PATIENCE: Duration = Duration::from_secs(10);
const SCRIPT: &str = "for i = ARGV[1], ARGV[2] do redis.call('SET', 'products:e2e:' .. i, '') end";

/// # Errors
/// It cannot be reached.
pub(crate) async fn connect(target: &Target) -> Result<Redis> {
    let client = redis::Client::open(format!("redis://{}", target.address))?;
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE));
    Ok(client.get_multiplexed_async_connection_with_config(&config).await?)
}

/// Adds so many keys under `products:*`, which no reader asks for.
///
/// # Errors
/// Redis refuses, or went away.
pub(crate) async fn add_keys(redis: &mut Redis, count: u64) -> Result<()> {
    for done in (0..count).step_by(usize::try_from(BATCH)?) {
        let mut eval = redis::cmd("EVAL");
        eval.arg(SCRIPT).arg(0).arg(done + 1).arg(count.min(done + BATCH));
        eval.exec_async(redis).await?;
    }
    Ok(())
}

/// How many keys there are, under whatever name.
///
/// # Errors
/// Redis went away.
pub(crate) async fn keys(redis: &mut Redis) -> Result<u64> {
    Ok(redis::cmd("DBSIZE").query_async(redis).await?)
}
