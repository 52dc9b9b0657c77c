//! Services of others that this one calls: their tokens, API A, and the protection against their faults.
//! `docs/partners.md` says for every fault what a client sees.

mod api_a;
mod breaker;
mod config;
mod error;
mod http;
mod oauth;
mod retry;

use std::sync::Arc;
use std::time::Duration;

use farmlokal_redis::Connection;
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram};
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

pub(crate) use api_a::ApiA;
pub(crate) use config::{PartnersArgs, http_url, secret};
pub(crate) use http::client;
pub(crate) use oauth::{TokenSource, Tokens};

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
    /// Makes no call yet. A task in `tasks` replaces tokens in time, from the first one on. Needs the metrics recorder and
    /// a tokio runtime.
    ///
    /// # Errors
    /// Settings that do not go together.
    pub(crate) fn new(
        args: &PartnersArgs,
        request_timeout: Duration,
        redis: &Arc<Connection>,
        tasks: &mut JoinSet<()>,
    ) -> anyhow::Result<Self> {
        describe_metrics();
        let Some((token_url, api_a_url)) = args.check(request_timeout)? else { return Ok(Self::default()) };
        let (client, calls) = (http::client()?, TaskTracker::new());
        let tokens = Tokens::new(client.clone(), Arc::clone(redis), token_url, args, calls.clone());
        tasks.spawn(Arc::clone(&tokens).keep_fresh());
        let api_a = |url| ApiA::new(client, Arc::clone(&tokens), Arc::clone(redis), url, args, calls.clone());
        let api_a = api_a_url.map(api_a);
        Ok(Self { audience: args.oauth_audience.clone(), tokens: Some(tokens), api_a, calls })
    }

    /// Waits for the calls under way: each has a deadline. What they learned, and their spans, would be lost.
    pub(crate) async fn close(&self) {
        self.calls.close();
        self.calls.wait().await;
    }
}

/// Says what the metrics mean, and shows counters from the start: a rate does not see the first of what it has not seen at
/// zero.
fn describe_metrics() {
    for source in ["memory", "redis", "provider", "none"] {
        counter!("farmlokal_oauth_tokens_total", "source" => source).increment(0);
    }
    for outcome in ["fresh", "fallback", "failed"] {
        counter!("farmlokal_api_a_calls_total", "outcome" => outcome).increment(0);
    }
    let durations = "farmlokal_partner_request_duration_seconds";
    describe_histogram!(durations, Unit::Seconds, "Requests to partners, each attempt by itself");
    describe_gauge!("farmlokal_partner_breaker_state", "1 for the state that the partner's breaker is in");
    describe_counter!("farmlokal_oauth_tokens_total", "Uses of an access token, by where it came from");
    describe_counter!("farmlokal_api_a_calls_total", "Calls of API A, retries included, by outcome");
}
