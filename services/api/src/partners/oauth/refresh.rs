//! Fetches the next token before the present one ends, so that no request waits for one.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use tracing::warn;

use super::Tokens;
use crate::partners::retry::jitter;

/// After a failure that does not say how long to wait.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs for ever. The first token is fetched by the first request that needs one; when a token could not be replaced in
/// time, it is the next request's turn again.
pub(super) async fn keep_fresh(tokens: Arc<Tokens>) {
    let mut current = tokens.subscribe();
    loop {
        let token = current.borrow_and_update().clone();
        let Some(token) = token.filter(|token| token.is_usable()) else {
            if current.changed().await.is_err() {
                return;
            }
            continue;
        };
        // Replicas wake a little apart, so that most of them find the token that the first has fetched.
        let wake = token.refresh_at() + jitter(token.refresh_ahead / 5);
        tokio::select! {
            _ = current.changed() => continue,
            () = sleep_until(wake) => {}
        }
        while token.is_usable() {
            match tokens.obtain(&token.fingerprint).await {
                Ok(_) => break,
                Err(failure) => {
                    warn!(%failure, usable_for = ?token.usable_for(), "the token cannot be refreshed yet");
                    let pause = failure.retry_after.unwrap_or(PAUSE);
                    sleep_until((Instant::now() + pause).min(token.usable_until)).await;
                }
            }
        }
        // A provider that gives out the same token again is not asked in a loop.
        sleep(jitter(PAUSE)).await;
    }
}
