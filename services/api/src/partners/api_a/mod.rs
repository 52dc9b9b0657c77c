//! API A, called with everything that keeps its faults away from ours.
//!
//! From the outside in: a bound on calls in flight, the breaker, the overall deadline, attempts with backoff, the timeout
//! of each attempt. Whatever comes of it, the last good answer stands in for a failure. The breaker is around the whole
//! call: attempts are not its business, or one call would open it.

mod last_good;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use axum::http::header::ACCEPT;
use metrics::counter;
use reqwest::Client;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::Semaphore;
use tokio::time::timeout_at;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, Span, warn};
use url::Url;

use super::breaker::{Breaker, BreakerState};
use super::config::PartnersArgs;
use super::error::{CallError, Partner};
use super::http::exchange;
use super::oauth::{Token, Tokens, fingerprint};
use super::retry::{Retries, RetryPolicy};
use crate::object::object;
use crate::problem::Code;
pub(crate) use last_good::Good;
use last_good::LastGood;

/// The client of API A.
pub(crate) struct ApiA {
    client: Client,
    url: Url,
    tokens: Arc<Tokens>,
    retry: RetryPolicy,
    breaker: Arc<Breaker>,
    permits: Arc<Semaphore>,
    last_good: LastGood,
    /// It was called: it has answered, or the log says why not.
    reached: AtomicBool,
    calls: TaskTracker,
}

/// What came of a call.
pub(crate) struct ApiAReport {
    /// Requests that API A was sent.
    pub(crate) attempts: u32,
    /// The breaker after the call.
    pub(crate) breaker: BreakerState,
    /// The answer; with an error, it is an older one in its place.
    pub(crate) result: Result<(Good, Option<CallError>), CallError>,
}

impl ApiAReport {
    /// `fresh`, `fallback` or `failed`.
    pub(crate) fn outcome(&self) -> &'static str {
        match &self.result {
            Ok((_, None)) => "fresh",
            Ok((_, Some(_))) => "fallback",
            Err(_) => "failed",
        }
    }
}

/// A call while it is made: requests so far, and what they came to.
type Called = (u32, Result<Good, CallError>);

impl ApiA {
    pub(crate) fn new(
        client: Client,
        tokens: Arc<Tokens>,
        redis: Arc<farmlokal_redis::Connection>,
        url: Url,
        args: &PartnersArgs,
        calls: TaskTracker,
    ) -> Arc<Self> {
        let failures = args.api_a_breaker_failures;
        let permits = (args.api_a_concurrency as usize).min(Semaphore::MAX_PERMITS);
        Arc::new(Self {
            last_good: LastGood::new(redis, &fingerprint(url.as_str()), args.api_a_fallback_ttl),
            breaker: Breaker::new(Partner::ApiA.name(), failures, args.api_a_breaker_pause),
            permits: Arc::new(Semaphore::new(permits)),
            reached: AtomicBool::new(false),
            retry: RetryPolicy {
                attempts: args.api_a_attempts,
                attempt_timeout: args.api_a_attempt_timeout,
                deadline: args.api_a_timeout,
            },
            calls,
            client,
            url,
            tokens,
        })
    }

    /// Asks API A for its status, which may be asked any number of times.
    pub(crate) async fn status(self: &Arc<Self>) -> ApiAReport {
        let (attempts, called) = self.guarded().await;
        let result = match called {
            Ok(good) => Ok((good, None)),
            Err(error) => match self.last_good.find().await {
                Some(older) => Ok((older, Some(error))),
                None => Err(error),
            },
        };
        let report = ApiAReport { attempts, breaker: self.breaker.state(), result };
        counter!("farmlokal_api_a_calls_total", "outcome" => report.outcome()).increment(1);
        report
    }

    /// The call behind the bound on calls in flight and the breaker.
    async fn guarded(self: &Arc<Self>) -> Called {
        let not_called = |code, retry_after| {
            (0, Err(CallError { retry_after: Some(retry_after), ..CallError::new(Partner::ApiA, code) }))
        };
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            return not_called(Code::Overloaded, Duration::from_secs(1));
        };
        let admitted = match self.breaker.admit() {
            Ok(admitted) => admitted,
            Err(wait) => return not_called(Code::PartnerSuspended, wait),
        };
        let this = Arc::clone(self);
        let call = async move {
            let (attempts, result) = this.attempts().await;
            // A token that cannot be had says nothing about API A.
            let called = !matches!(&result, Err(error) if error.partner == Partner::Oauth);
            let outcome = result.as_ref().map(drop).map_err(ToString::to_string);
            admitted.tell(called.then_some(outcome));
            let is_first = called && !this.reached.swap(true, Relaxed);
            match &result {
                Ok(good) => this.last_good.keep(good, &this.calls),
                Err(error) if is_first => warn!(%error, "the first call of API A failed"),
                Err(_) => {}
            }
            drop(permit);
            (attempts, result)
        };
        // A task of its own: clients that go away must not be able to open the breaker.
        let called = self.calls.spawn(call.instrument(Span::current())).await;
        called.unwrap_or_else(|panic| (0, Err(CallError::from_panic(Partner::ApiA, &panic))))
    }

    /// Attempts until one succeeds or there must be no other. A 401 may mean that the token was revoked: it is replaced,
    /// once, and the attempt made again.
    async fn attempts(&self) -> Called {
        let mut retries = Retries::start(self.retry);
        let mut revoked: Option<Arc<Token>> = None;
        loop {
            let token = async {
                match &revoked {
                    None => self.tokens.get().await,
                    Some(revoked) => self.tokens.replace(revoked).await,
                }
            };
            let late = |_| Err(CallError::new(Partner::Oauth, Code::PartnerTimedOut));
            let token = match timeout_at(retries.ends, token).await.unwrap_or_else(late) {
                Ok((token, _)) => token,
                Err(error) => return (retries.attempts, Err(error)),
            };
            let limit = retries.next_attempt();
            let error = match self.attempt(&token, retries.attempts, limit).await {
                Ok(body) => return (retries.attempts, Ok(Good::now(body))),
                Err(error) => error,
            };
            if error.status == Some(401) && revoked.is_none() {
                revoked = Some(token);
            } else if !retries.wait_after(&error).await {
                return (retries.attempts, Err(error));
            }
        }
    }

    async fn attempt(&self, token: &Token, number: u32, limit: Duration) -> Result<Box<RawValue>, CallError> {
        let request = self.client.get(self.url.clone()).bearer_auth(token.secret.expose_secret());
        let request = request.header(ACCEPT, "application/json");
        exchange(Partner::ApiA, request, number, limit, parse).await
    }
}

/// API A's answer as it was sent, if it is one: whatever it has beside the name of the service is passed on too.
fn parse(body: &[u8]) -> Option<Box<RawValue>> {
    #[derive(Deserialize)]
    struct Status {
        #[serde(rename = "service")]
        _service: String,
    }
    object::<Status>(body).ok()?;
    serde_json::from_slice(body).ok()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn an_answer_is_what_was_agreed_and_stays_as_it_is() {
        let body = "{\"n\": 1.50, \"service\": \"api-a\"}";
        assert_eq!(parse(format!(" {body}\n").as_bytes()).unwrap().get(), body);
        for body in [
            "",
            "{",
            "<html>",
            "null",
            "[]",
            "[\"api-a\"]",
            "{}",
            "{\"service\": 1}",
            "{\"service\": \"a\"} {}",
        ] {
            assert!(parse(body.as_bytes()).is_none(), "{body}");
        }
    }
}
