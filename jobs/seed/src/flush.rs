use std::time::Duration;

use anyhow::Context as _;
use farmlokal_cache::{Flusher, RedisConfig};

use crate::config::Cli;

const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);

/// The cache in front of the products, or nothing with `--no-flush`.
pub(crate) struct CacheToFlush(Option<Flusher>);

impl CacheToFlush {
    /// Connects on the first flush.
    pub(crate) fn new(cli: &Cli) -> anyhow::Result<Self> {
        let flusher = (!cli.no_flush).then(|| Flusher::new(&RedisConfig::new(cli.redis.url())));
        Ok(Self(flusher.transpose().context("the address of Redis")?))
    }

    /// Tries for some seconds.
    pub(crate) async fn flush(&self) -> anyhow::Result<()> {
        let Some(flusher) = &self.0 else { return Ok(()) };
        for attempt in 1.. {
            match flusher.flush().await {
                Ok(done) => {
                    tracing::debug!(keys = done.keys, "flushed the cache");
                    break;
                }
                Err(error) if attempt == ATTEMPTS => return Err(error).context("the cache was not flushed"),
                Err(error) => {
                    tracing::warn!(%error, "the cache was not flushed: trying again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        Ok(())
    }
}
