use std::time::{Duration, Instant};

use deadpool::managed::{self, Metrics, Object, Pool, PoolError, QueueMode, RecycleResult};
use deadpool_redis::{Manager, Runtime};
use farmlokal_redis::{CONNECT_TIMEOUT, client, explain};
use redis::{
    AsyncConnectionConfig, Pipeline, ProtocolVersion, RedisError, RedisResult, aio::MultiplexedConnection,
};

use crate::{
    InvalidUrl, RedisConfig,
    keys::{
        ENTRY_PATTERN, FLUSHED_KEY, TAGS, changed_key, item_generation, list_generation, new_token, slot,
        token_key,
    },
    metrics::count_flushes,
};

/// The longest that one step of a flush may take. No request waits for it.
const STEP_TIMEOUT: Duration = Duration::from_secs(1);
/// Keys looked at and removed in one step: some milliseconds of Redis's time.
const BATCH: usize = 1000;
/// Flushes of one process that run side by side.
const CONNECTIONS: usize = 2;

/// Makes cached answers invalid, in every process.
pub struct Flusher {
    pool: Pool<Untested>,
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
    /// Not all that makes entries invalid was written: entries from before may still be served.
    #[error("Redis did not take the new generations")]
    Invalidate(#[source] RedisError),
    /// No entry from before is served any more, but not every key could be removed; those left expire by themselves.
    #[error("Redis did not remove every key")]
    Remove(#[source] RedisError),
}

impl Flusher {
    /// Connects on the first use.
    pub fn new(config: &RedisConfig) -> Result<Self, InvalidUrl> {
        let info = client(config, ProtocolVersion::RESP2)?.get_connection_info().clone();
        let connections = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(STEP_TIMEOUT));
        let pool = Pool::builder(Untested(Manager::new_with_config(info, connections)?))
            .max_size(CONNECTIONS)
            .wait_timeout(Some(STEP_TIMEOUT))
            // The steps of a flush use the connection that has just worked.
            .queue_mode(QueueMode::Lifo)
            .runtime(Runtime::Tokio1)
            .build()
            .unwrap_or_else(|_| unreachable!("only a pool without a runtime is refused"));
        count_flushes(0, 0, 0);
        Ok(Self { pool })
    }

    /// Sends a PING. For a program that reports at its start what is wrong with its settings; the error is the cause.
    pub async fn check(&self) -> RedisResult<()> {
        self.run(redis::pipe().ping()).await
    }

    /// When it returns `Ok`, no entry from before is read from Redis any more, and every in-process layer has been
    /// told. For writers that change much, after they commit.
    pub async fn flush(&self) -> Result<Flushed, FlushError> {
        let started = Instant::now();
        // In this order: keys removed first could be filled again, under a generation still valid, by a reader that
        // asked the database before the write.
        let result = match self.run(renewed_generations().set(FLUSHED_KEY, "").ignore()).await {
            Ok(()) => self.remove_entries().await.map_err(FlushError::Remove),
            Err(error) => Err(FlushError::Invalidate(error)),
        };
        let keys = counted(result)?;
        count_flushes(0, 0, keys);
        Ok(Flushed { keys, took: started.elapsed() })
    }

    /// When it returns `Ok`, no list from before and none of these products' entries is read from Redis any more, and
    /// every in-process layer has been told. One round trip, however much is cached: the entries stay in Redis, where
    /// they are invalid, until they are overwritten or expire. For writers that change little, after they commit.
    pub async fn invalidate_products(&self, ids: &[u64]) -> Result<(), FlushError> {
        let mut pipeline = redis::pipe();
        for id in ids {
            // In this order: a process that hears of the change must find nothing from before in Redis.
            pipeline.del(token_key(*id)).ignore().set(changed_key(slot(*id)), "").ignore();
        }
        renew(&mut pipeline, list_generation);
        counted(self.run(&pipeline).await.map_err(FlushError::Invalidate))
    }

    /// The pool does not test its connections. If Redis has closed one since its last use, the next one is tried; so what
    /// runs here may run twice.
    async fn run(&self, pipeline: &Pipeline) -> RedisResult<()> {
        loop {
            let mut connection = self.pool.get().await.map_err(redis_error)?;
            let Err(error) = pipeline.exec_async(&mut *connection).await else { return Ok(()) };
            let is_new = Object::metrics(&connection).recycle_count == 0;
            drop(Object::take(connection));
            if is_new || !error.is_connection_dropped() {
                return Err(error);
            }
        }
    }

    async fn remove_entries(&self) -> RedisResult<u64> {
        let mut connection = self.pool.get().await.map_err(redis_error)?;
        let (mut removed, mut cursor) = (0, 0_u64);
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(ENTRY_PATTERN).arg("COUNT").arg(BATCH);
            let (next, keys): (u64, Vec<Vec<u8>>) = scan.query_async(&mut *connection).await?;
            if !keys.is_empty() {
                removed += redis::cmd("UNLINK").arg(keys).query_async::<u64>(&mut *connection).await?;
            }
            if next == 0 {
                return Ok(removed);
            }
            cursor = next;
        }
    }
}

/// deadpool-redis tests a connection with UNWATCH and PING before each use, which would make two round trips of one. Its
/// manager has no option for that (`recycle` in deadpool-redis 0.23).
struct Untested(Manager);

impl managed::Manager for Untested {
    type Type = MultiplexedConnection;
    type Error = RedisError;

    async fn create(&self) -> RedisResult<MultiplexedConnection> {
        self.0.create().await
    }

    async fn recycle(&self, _: &mut MultiplexedConnection, _: &Metrics) -> RecycleResult<RedisError> {
        Ok(())
    }
}

/// Makes every entry in Redis invalid at once, whether or not it is removed later.
pub(crate) fn renewed_generations() -> Pipeline {
    let mut pipeline = redis::pipe();
    renew(&mut pipeline, list_generation);
    renew(&mut pipeline, item_generation);
    pipeline
}

fn renew(pipeline: &mut Pipeline, key: fn(u64) -> String) {
    for tag in 0..TAGS {
        pipeline.set(key(tag), &new_token()[..]).ignore();
    }
}

fn counted<T>(result: Result<T, FlushError>) -> Result<T, FlushError> {
    count_flushes(u64::from(result.is_ok()), u64::from(result.is_err()), 0);
    result
}

fn redis_error(error: PoolError<RedisError>) -> RedisError {
    match error {
        PoolError::Backend(error) => explain(error),
        PoolError::Timeout(_) => std::io::Error::from(std::io::ErrorKind::TimedOut).into(),
        other => std::io::Error::other(other).into(),
    }
}
