//! Services of others that this one calls: their tokens, API A, and what keeps their faults away from our clients.
//! `docs/partners.md` says for every fault what a client sees.

mod api_a;
mod breaker;
mod config;
mod failure;
mod http;
mod metrics;
mod oauth;
mod retry;

use std::sync::Arc;
use std::time::Duration;

use farmlokal_redis::Connection;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use api_a::{ApiA, Outcome, Report};
pub(crate) use config::PartnersArgs;
pub(crate) use http::client;
pub(crate) use oauth::{Source, Tokens};

/// The partners that are configured.
#[derive(Default)]
pub(crate) struct Partners {
    /// The audience of the tokens, where the provider wants one.
    pub(crate) audience: Option<String>,
    pub(crate) tokens: Option<Arc<Tokens>>,
    pub(crate) api_a: Option<Arc<ApiA>>,
    /// Calls that go on without the client that asked for them.
    calls: TaskTracker,
}

impl Partners {
    /// Calls nobody yet. Tokens are replaced in the background from the first one on, until `shutdown`. Needs the metrics
    /// recorder and a tokio runtime.
    ///
    /// # Errors
    /// Settings that do not go together.
    pub(crate) fn new(
        args: &PartnersArgs,
        request_timeout: Duration,
        redis: &Arc<Connection>,
        shutdown: CancellationToken,
    ) -> anyhow::Result<Self> {
        metrics::describe();
        let Some(credentials) = args.credentials(request_timeout)? else { return Ok(Self::default()) };
        let client = http::client()?;
        let audience = credentials.audience.clone();
        let (redis_for_tokens, timeout) = (Arc::clone(redis), args.token_timeout());
        let calls = TaskTracker::new();
        let tokens = Tokens::new(
            client.clone(),
            redis_for_tokens,
            credentials,
            args.margins(),
            timeout,
            calls.clone(),
        );
        tokens.keep_fresh(shutdown);
        let api_a = args.api_a(request_timeout)?;
        let api_a = api_a
            .map(|config| ApiA::new(client, Arc::clone(&tokens), Arc::clone(redis), config, calls.clone()));
        Ok(Self { audience, tokens: Some(tokens), api_a, calls })
    }

    /// Waits for the calls under way: each has a deadline. What they learned, and their spans, would be lost.
    pub(crate) async fn close(&self) {
        self.calls.close();
        self.calls.wait().await;
    }
}
