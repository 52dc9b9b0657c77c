//! Fetches the next token before the present one ends, so that no request waits for one.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::{Tokens, jitter};

/// Between two fetches: a provider that gives out the same token again is not asked in a loop.
const PAUSE: Duration = Duration::from_secs(1);

impl Tokens {
    /// Runs for ever. The first token is fetched by the first request that needs one; when a token could not be replaced in
    /// time, it is the next request's turn again.
    pub(crate) async fn keep_fresh(self: Arc<Self>) {
        let mut current = self.current.subscribe();
        loop {
            let token = current.borrow_and_update().clone();
            let Some(token) = token.filter(|token| token.is_usable()) else {
                // The sender is in `self`: this does not fail.
                let _ = current.changed().await;
                continue;
            };
            // With jitter, most replicas find the token that the first has fetched.
            let wake = token.refresh_at() + jitter(token.refresh_ahead / 5);
            tokio::select! {
                _ = current.changed() => continue,
                () = sleep_until(wake) => {}
            }
            while token.is_usable()
                && let Err(error) = self.obtain(&token.fingerprint).await
            {
                let pause = error.retry_after.unwrap_or(PAUSE);
                sleep_until((Instant::now() + pause).min(token.usable_until)).await;
            }
            sleep(jitter(PAUSE)).await;
        }
    }
}
