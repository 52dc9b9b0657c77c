use std::time::{Duration, Instant};

use deadpool_redis::{Manager, Pool, PoolError, Runtime};
use farmlokal_redis::{CONNECT_TIMEOUT, client};
use redis::{AsyncConnectionConfig, ProtocolVersion, RedisError, RedisResult, aio::ConnectionLike};

use crate::{
    ConfigError, RedisConfig,
    keys::{ENTRY_PATTERN, ENTRY_PREFIX, Generation, TAGS, generation_key},
    metrics::FlushMetrics,
};

/// The longest that one step of a flush may take. No request waits for it.
const STEP_TIMEOUT: Duration = Duration::from_secs(1);
/// Keys looked at and removed in one step: some milliseconds of Redis's time.
const BATCH: usize = 1000;
/// Flushes of one process that run side by side.
const CONNECTIONS: usize = 2;

/// Makes every cached answer invalid, for the controller and the seed job.
#[derive(Clone)]
pub struct Flusher {
    pool: Pool,
}

/// What a flush did.
#[derive(Clone, Copy, Debug)]
pub struct Flushed {
    /// Keys removed from Redis.
    pub keys: u64,
    /// Time that it took.
    pub took: Duration,
}

/// Why a flush failed. Running it again is always safe.
#[derive(Debug, thiserror::Error)]
pub enum FlushError {
    /// The generations could not all be replaced: entries from before may still be served.
    #[error("Redis did not take the new generations")]
    Invalidate(#[source] RedisError),
    /// The generations were replaced, so no entry from before is served any more, but not every key could be
    /// removed; those left expire by themselves.
    #[error("Redis did not remove every key")]
    Remove(#[source] RedisError),
    /// The pattern may match keys that are not the cache's. Nothing was done.
    #[error("a flush removes only keys within {ENTRY_PATTERN}")]
    Pattern,
}

impl Flusher {
    /// Connects on the first flush.
    pub fn new(config: &RedisConfig) -> Result<Self, ConfigError> {
        let info = client(config, ProtocolVersion::RESP2)?.get_connection_info().clone();
        let connections = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(STEP_TIMEOUT));
        let invalid = |error: RedisError| ConfigError::Url(error.to_string());
        let manager = Manager::new_with_config(info, connections).map_err(invalid)?;
        let pool = Pool::builder(manager)
            .max_size(CONNECTIONS)
            .wait_timeout(Some(STEP_TIMEOUT))
            .create_timeout(Some(CONNECT_TIMEOUT))
            .recycle_timeout(Some(STEP_TIMEOUT))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| ConfigError::Url(error.to_string()))?;
        // There from the start: a rate cannot see the first of what it has not seen at zero.
        FlushMetrics::new();
        Ok(Self { pool })
    }

    /// When it returns `Ok`, no entry from before is read from Redis any more, and every in-process layer has been
    /// told. Writers call it after they commit.
    pub async fn flush(&self) -> Result<Flushed, FlushError> {
        self.flush_matching(ENTRY_PATTERN).await
    }

    /// As [`flush`](Self::flush), for every entry: none from before is served any more. But of their keys it removes only
    /// those that match `pattern`, a Redis glob that starts with `products:`; the others expire by themselves.
    pub async fn flush_matching(&self, pattern: &str) -> Result<Flushed, FlushError> {
        if !pattern.starts_with(ENTRY_PREFIX) {
            return Err(FlushError::Pattern);
        }
        let metrics = FlushMetrics::new();
        let result = self.invalidate_and_remove(pattern).await;
        match &result {
            Ok(flushed) => {
                metrics.ok.increment(1);
                metrics.keys.increment(flushed.keys);
            }
            Err(_) => metrics.failed.increment(1),
        }
        result
    }

    /// The first half of [`flush`](Self::flush): one round trip, however much is cached. The entries stay in Redis, where
    /// nobody takes them for valid, until they are overwritten or expire. For writers that flush often.
    pub async fn invalidate(&self) -> Result<(), FlushError> {
        let metrics = FlushMetrics::new();
        let result = async {
            let mut connection = self.pool.get().await.map_err(redis_error)?;
            renew_generations(&mut connection).await
        };
        let result = result.await.map_err(FlushError::Invalidate);
        let counter = if result.is_ok() { metrics.ok } else { metrics.failed };
        counter.increment(1);
        result
    }

    /// In this order: keys removed first could be filled again, under a generation still valid, by a reader that
    /// asked the database before the write.
    async fn invalidate_and_remove(&self, pattern: &str) -> Result<Flushed, FlushError> {
        let started = Instant::now();
        let mut connection =
            self.pool.get().await.map_err(|error| FlushError::Invalidate(redis_error(error)))?;
        renew_generations(&mut connection).await.map_err(FlushError::Invalidate)?;
        let keys = remove_entries(&mut connection, pattern).await.map_err(FlushError::Remove)?;
        Ok(Flushed { keys, took: started.elapsed() })
    }
}

/// Makes every entry in Redis invalid at once, whether or not it is removed later.
pub(crate) async fn renew_generations(connection: &mut impl ConnectionLike) -> RedisResult<()> {
    let mut pipeline = redis::pipe();
    for tag in 0..TAGS {
        pipeline.set(generation_key(tag), Generation::new().as_bytes()).ignore();
    }
    pipeline.exec_async(connection).await
}

async fn remove_entries(connection: &mut impl ConnectionLike, pattern: &str) -> RedisResult<u64> {
    let mut removed = 0;
    let mut cursor = 0_u64;
    loop {
        let (next, keys): (u64, Vec<Vec<u8>>) = redis::cmd("SCAN")
            .arg(cursor)
            .arg("MATCH")
            .arg(pattern)
            .arg("COUNT")
            .arg(BATCH)
            .query_async(connection)
            .await?;
        if !keys.is_empty() {
            removed += redis::cmd("UNLINK").arg(keys).query_async::<u64>(connection).await?;
        }
        if next == 0 {
            return Ok(removed);
        }
        cursor = next;
    }
}

fn redis_error(error: PoolError) -> RedisError {
    match error {
        PoolError::Backend(error) => error,
        PoolError::Timeout(_) => std::io::Error::from(std::io::ErrorKind::TimedOut).into(),
        other => std::io::Error::other(other).into(),
    }
}
