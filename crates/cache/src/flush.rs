use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use deadpool::managed::{self, Metrics, Object, Pool, PoolError, QueueMode, RecycleResult};
use deadpool_redis::{Manager, Runtime};
use farmlokal_redis::{CONNECT_TIMEOUT, Link, Servers, explain, is_redirect};
use futures::future::try_join_all;
use redis::{AsyncConnectionConfig, Pipeline, RedisError, RedisResult, RetryMethod};
use tokio::time::sleep;

use crate::{
    InvalidUrl, RedisConfig,
    keys::{
        ENTRY_PATTERN, FLUSHED_KEY, TAGS, changed_key, item_generation, list_generation, new_token, slot,
        token_key,
    },
    metrics::count_flushes,
};

/// The longest that one step of a flush may take, about. No request waits for it.
const STEP_TIMEOUT: Duration = Duration::from_secs(1);
/// Before another connection is tried.
const PAUSE: Duration = Duration::from_millis(10);
/// Keys looked at and removed in one step: some milliseconds of Redis's time.
const BATCH: usize = 1000;
/// Flushes of one process that run side by side.
const CONNECTIONS: usize = 2;

/// Makes cached answers invalid, in every process.
pub struct Flusher {
    pool: Pool<Untested>,
    servers: Arc<Servers>,
    /// Whether nobody else in this process watches the Sentinels.
    watches: bool,
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
        Ok(Self::to(Servers::new(config)?, true))
    }

    pub(crate) fn to(servers: Arc<Servers>, watches: bool) -> Self {
        let pool = Pool::builder(Untested(Arc::clone(&servers)))
            .max_size(CONNECTIONS)
            .wait_timeout(Some(STEP_TIMEOUT))
            // The steps of a flush use the connection that has just worked.
            .queue_mode(QueueMode::Lifo)
            .runtime(Runtime::Tokio1)
            .build()
            .unwrap_or_else(|_| unreachable!("only a pool without a runtime is refused"));
        count_flushes(0, 0, 0);
        Self { pool, servers, watches }
    }

    /// Sends a PING. For a program that reports at its start what is wrong with its settings; the error is the cause.
    pub async fn check(&self) -> RedisResult<()> {
        self.run(std::slice::from_ref(redis::pipe().ping())).await
    }

    /// When it returns `Ok`, no entry from before is read from Redis any more, and every in-process layer has been
    /// told. For writers that change much, after they commit.
    pub async fn flush(&self) -> Result<Flushed, FlushError> {
        let started = Instant::now();
        // In this order: keys removed first could be filled again, under a generation still valid, by a reader that
        // asked the database before the write.
        let mut renewals = changes(&[]);
        renew(&mut renewals, list_generation);
        renew(&mut renewals, item_generation);
        renewals[0].set(FLUSHED_KEY, "").ignore();
        let result = match self.run(&renewals).await {
            // On the heap: callers move the future of a flush.
            Ok(()) => Box::pin(self.remove_entries()).await.map_err(FlushError::Remove),
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
        let mut pipelines = changes(ids);
        renew(&mut pipelines, list_generation);
        counted(self.run(&pipelines).await.map_err(FlushError::Invalidate))
    }

    /// Runs the pipelines side by side, each of keys with one hash tag. The pool does not test its connections: if Redis has
    /// closed one since its last use, or is no primary any more, the next one is tried; so what runs here may run twice.
    async fn run(&self, pipelines: &[Pipeline]) -> RedisResult<()> {
        let started = Instant::now();
        loop {
            let connection = self.pool.get().await.map_err(redis_error)?;
            let ran = try_join_all(pipelines.iter().map(|pipeline| connection.clone().run(pipeline))).await;
            if self.watches {
                self.servers.watch(Duration::ZERO).await;
            }
            let Err(error) = ran.and_then(|_| self.servers.check(connection.switches)) else { return Ok(()) };
            drop(Object::take(connection));
            if matches!(error.retry_method(), RetryMethod::NoRetry) || started.elapsed() > STEP_TIMEOUT {
                return Err(error);
            }
            sleep(PAUSE).await;
        }
    }

    async fn remove_entries(&self) -> RedisResult<u64> {
        let mut removed = 0;
        let mut link = self.pool.get().await.map_err(redis_error)?;
        for primary in self.servers.primaries().await? {
            let mut primary = primary.get_multiplexed_async_connection_with_config(&connections()).await?;
            let mut cursor = 0_u64;
            loop {
                let mut scan = redis::cmd("SCAN");
                scan.arg(cursor).arg("MATCH").arg(ENTRY_PATTERN).arg("COUNT").arg(BATCH);
                let (next, keys): (u64, Vec<Vec<u8>>) = scan.query_async(&mut primary).await?;
                if !keys.is_empty() {
                    match redis::cmd("UNLINK").arg(keys).query_async::<u64>(&mut *link).await {
                        Ok(count) => removed += count,
                        // Some are on the way to another node.
                        Err(error) if is_redirect(&error) => {}
                        Err(error) => return Err(error),
                    }
                }
                if next == 0 {
                    break;
                }
                cursor = next;
            }
        }
        Ok(removed)
    }
}

/// deadpool-redis tests a connection with UNWATCH and PING before each use, which would make two round trips of one. Its
/// manager has no option for that (`recycle` in deadpool-redis 0.23).
struct Untested(Arc<Servers>);

impl managed::Manager for Untested {
    type Type = Link;
    type Error = RedisError;

    async fn create(&self) -> RedisResult<Link> {
        let connect = |info| async move { Manager::new_with_config(info, connections())?.create().await };
        Box::pin(self.0.link(connect)).await
    }

    async fn recycle(&self, link: &mut Link, _: &Metrics) -> RecycleResult<RedisError> {
        Ok(self.0.check(link.switches)?)
    }
}

fn connections() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(STEP_TIMEOUT))
}

/// What makes the products' own entries invalid: a pipeline for each hash tag.
fn changes(ids: &[u64]) -> Vec<Pipeline> {
    let mut pipelines: Vec<_> = (0..TAGS).map(|_| redis::pipe()).collect();
    for id in ids {
        let pipeline = &mut pipelines[(id % TAGS) as usize];
        // In this order: a process that hears of the change must find nothing from before in Redis.
        pipeline.del(token_key(*id)).ignore().set(changed_key(slot(*id)), "").ignore();
    }
    pipelines
}

fn renew(pipelines: &mut [Pipeline], key: fn(u64) -> String) {
    for (tag, pipeline) in (0..).zip(pipelines) {
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
