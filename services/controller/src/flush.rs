//! The flush itself, and whether Redis can be reached.

use std::error::Error as _;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use farmlokal_cache::{ConfigError, FlushError, Flushed, Flusher, RedisConfig};
use redis::{ErrorKind, RedisError};
use tokio::sync::Semaphore;
use tracing::{Span, info, instrument, warn};

use crate::error::FlushFailure;
use crate::failure_log::FailureLog;
use crate::metrics;

/// How many flushes run at once: a [`Flusher`] has as many connections, and takes a long wait for one of them for a Redis
/// that does not answer.
const CONCURRENT_FLUSHES: usize = 2;

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
    permits: Semaphore,
    failures: FailureLog,
}

impl CacheFlusher {
    /// Connects on the first use.
    ///
    /// # Errors
    /// A URL that is none of Redis's.
    pub(crate) fn new(redis_url: &str) -> Result<Self, ConfigError> {
        Ok(Self {
            flusher: Flusher::new(&RedisConfig::new(redis_url))?,
            permits: Semaphore::new(CONCURRENT_FLUSHES),
            failures: FailureLog::default(),
        })
    }

    /// Flushes all of `products:*`. After an error it is to be run again.
    #[instrument(skip_all, fields(otel.kind = "client", otel.status_code, db.system.name = "redis", error.type))]
    pub(crate) async fn flush(&self) -> Result<Flushed, FlushFailure> {
        // Acquiring fails only for a semaphore that is closed, which this one never is.
        let _permit = self.permits.acquire().await;
        match self.flusher.flush().await {
            Ok(flushed) => {
                metrics::flushed(flushed.keys, flushed.took);
                self.log_success();
                Ok(flushed)
            }
            Err(error) => {
                let failure = self.log_failure(redis_error(&error));
                Span::current().record("otel.status_code", "ERROR").record("error.type", failure.reason());
                metrics::flush_failed();
                Err(failure)
            }
        }
    }

    /// Tries until Redis answers, and logs why it does not: a wrong address or password shows at the start, not when the
    /// first flush fails.
    pub(crate) async fn reach(&self) {
        let check = || self.flusher.check();
        // It ends when it succeeds: attempts are not limited.
        let _ = check.retry(pauses()).notify(|error, _| drop(self.log_failure(Some(error)))).await;
        self.log_success();
    }

    fn log_failure(&self, error: Option<&RedisError>) -> FlushFailure {
        let failure = error.map_or(FlushFailure::Unreachable("the flush failed"), failure);
        if self.failures.is_new(failure.reason()) {
            let (reason, cause) = (failure.reason(), error.map(ToString::to_string));
            warn!(reason, cause, "{failure}: trying again");
        }
        failure
    }

    fn log_success(&self) {
        if self.failures.is_over() {
            info!("Redis answers again");
        }
    }
}

fn redis_error(error: &FlushError) -> Option<&RedisError> {
    error.source()?.downcast_ref()
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
