use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use farmlokal_cache::{Flusher, RedisConfig};
use farmlokal_redis::CONNECT_TIMEOUT;
use redis::ProtocolVersion;

use crate::config::Cli;

const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);

/// The cache in front of the products, or nothing with `--no-flush`.
pub(crate) struct CacheToFlush {
    flusher: Option<Flusher>,
    is_outage_logged: AtomicBool,
}

impl CacheToFlush {
    /// Warns where Redis cannot be reached: it is needed only at the end, when a million rows are in.
    pub(crate) async fn connect(cli: &Cli) -> anyhow::Result<Self> {
        let mut cache = Self { flusher: None, is_outage_logged: AtomicBool::new(false) };
        if cli.no_flush {
            return Ok(cache);
        }
        let config = RedisConfig::new(cli.redis.url());
        let client = farmlokal_redis::client(&config, ProtocolVersion::RESP2).context("REDIS_URL")?;
        cache.flusher = Some(Flusher::new(&config).context("REDIS_URL")?);
        let connection = client.get_multiplexed_async_connection();
        match tokio::time::timeout(CONNECT_TIMEOUT, connection).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => cache.warn(&error.into()),
            Err(elapsed) => cache.warn(&elapsed.into()),
        }
        Ok(cache)
    }

    /// Tries for some seconds.
    pub(crate) async fn flush(&self) -> anyhow::Result<()> {
        let Some(flusher) = &self.flusher else { return Ok(()) };
        for attempt in 1.. {
            match flusher.flush().await.context("the cache was not flushed") {
                Ok(done) => {
                    tracing::debug!(keys = done.keys, "flushed the cache");
                    self.is_outage_logged.store(false, Ordering::Relaxed);
                    break;
                }
                Err(error) if attempt == ATTEMPTS => return Err(error),
                Err(error) => {
                    self.warn(&error);
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        Ok(())
    }

    /// Once for each outage.
    fn warn(&self, error: &anyhow::Error) {
        if !self.is_outage_logged.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                error = format!("{error:#}"),
                "Redis cannot be reached: trying again when there is something to flush"
            );
        }
    }
}
