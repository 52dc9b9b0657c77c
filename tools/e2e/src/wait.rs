//! Waiting for what a cluster does in its own time.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

const PERIOD: Duration = Duration::from_millis(100);

/// Tries until `attempt` gives something. An error counts as "not yet": the API server may be away for a moment.
///
/// # Errors
/// Nothing within `patience`; names `what`, and the last error where there was one.
pub(crate) async fn until<T>(
    what: &str,
    patience: Duration,
    mut attempt: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        let last = match attempt().await {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        if Instant::now() > deadline {
            let seconds = patience.as_secs();
            return Err(match last {
                Some(error) => error.context(format!("not within {seconds} s: {what}")),
                None => anyhow!("not within {seconds} s: {what}"),
            });
        }
        tokio::time::sleep(PERIOD).await;
    }
}
