use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use backon::{ConstantBuilder, Retryable as _};
use farmlokal_cache::Flusher;

use crate::config::Cli;

const RETRIES: usize = 4;
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
        let flusher = Flusher::new(&cli.redis.config()?).context("Redis")?;
        if let Err(error) = flusher.check().await {
            cache.warn(&error.into());
        }
        cache.flusher = Some(flusher);
        Ok(cache)
    }

    /// Tries for some seconds.
    pub(crate) async fn flush(&self) -> anyhow::Result<()> {
        let Some(flusher) = &self.flusher else { return Ok(()) };
        let flush = || async { flusher.flush().await.context("the cache was not flushed") };
        let pauses = ConstantBuilder::new().with_delay(PAUSE).with_max_times(RETRIES);
        let done = flush.retry(pauses).notify(|error, _| self.warn(error)).await?;
        tracing::debug!(keys = done.keys, "flushed the cache");
        self.is_outage_logged.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Once for each outage.
    fn warn(&self, error: &anyhow::Error) {
        if !self.is_outage_logged.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                error = farmlokal_settings::with_causes(error),
                "Redis cannot be reached: trying again when there is something to flush"
            );
        }
    }
}
