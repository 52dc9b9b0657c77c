//! The flush itself, and whether Redis can be reached.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use farmlokal_cache::{FlushError, Flushed, Flusher, InvalidUrl, RedisConfig};
use redis::{ErrorKind, RedisError};
use tracing::{Span, info, instrument, warn};

use crate::error::FlushFailure;
use crate::failure_log::FailureLog;
use crate::metrics;

/// Between attempts that fail: from 50 ms to 5 s, jitter included. The longest is also how long a recovered Redis or API
/// server goes unnoticed.
pub(crate) fn pauses() -> ExponentialBuilder {
    ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_millis(2500))
        .with_factor(2.0)
        .with_jitter()
        .without_max_times()
}

/// The cache of the one Redis that the controller is configured with.
pub(crate) struct CacheFlusher {
    flusher: Flusher,
    failures: FailureLog,
}

impl CacheFlusher {
    /// Connects on the first use.
    ///
    /// # Errors
    /// A URL that is none of Redis's.
    pub(crate) fn new(redis: &RedisConfig) -> Result<Self, InvalidUrl> {
        Ok(Self { flusher: Flusher::new(redis)?, failures: FailureLog::default() })
    }

    /// Flushes all of `products:*`. After an error it is to be run again.
    #[instrument(skip_all, fields(otel.kind = "client", otel.status_code, db.system.name = "redis", error.type))]
    pub(crate) async fn flush(&self) -> Result<Flushed, FlushFailure> {
        match self.flusher.flush().await {
            Ok(flushed) => {
                metrics::flushed(flushed.keys, flushed.took);
                self.log_success();
                Ok(flushed)
            }
            Err(FlushError::Invalidate(error) | FlushError::Remove(error)) => {
                let failure = self.log_failure(&error);
                Span::current().record("otel.status_code", "ERROR").record("error.type", failure.reason());
                metrics::flush_failed();
                Err(failure)
            }
        }
    }

    /// Tries until Redis answers, and logs why it does not: a wrong address or password shows at the start, not when the
    /// first flush fails. A task of the process, so it does not end.
    pub(crate) async fn reach(self: Arc<Self>) -> anyhow::Result<()> {
        let check = || self.flusher.check();
        check.retry(pauses()).notify(|error, _| drop(self.log_failure(error))).await?;
        self.log_success();
        pending().await
    }

    fn log_failure(&self, error: &RedisError) -> FlushFailure {
        let failure = failure(error);
        if self.failures.is_new(failure.reason()) {
            warn!(reason = failure.reason(), cause = error.to_string(), "{failure}: trying again");
        }
        failure
    }

    fn log_success(&self) {
        if self.failures.is_over() {
            info!("Redis answers again");
        }
    }
}

/// The server's own words are for the log only: they may name users, and differ from time to time.
fn failure(error: &RedisError) -> FlushFailure {
    if error.is_connection_refusal() {
        FlushFailure::Unreachable("the connection is refused")
    } else if error.is_timeout() {
        FlushFailure::Unreachable("it does not answer in time")
    } else if let Some(code) = error.code() {
        FlushFailure::Refused(code.to_owned())
    } else if error.kind() == ErrorKind::AuthenticationFailed {
        FlushFailure::Refused("the user or the password is wrong".to_owned())
    } else {
        FlushFailure::Unreachable("the connection cannot be made or was lost")
    }
}

#[cfg(test)]
mod tests;
