//! API A, called with everything that keeps its faults away from ours.
//!
//! From the outside in: a bound on calls in flight, the breaker, the overall deadline, attempts with backoff, the timeout
//! of each attempt. Whatever comes of it, the last good answer stands in for a failure. The breaker is around the whole
//! call: attempts are not its business, or one call would open it.

mod last_good;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use axum::http::header::{ACCEPT, AUTHORIZATION};
use axum::http::{HeaderValue, Method};
use metrics::{Counter, counter};
use reqwest::{Client, Request};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout_at;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, Span};
use url::Url;

use super::breaker::{Breaker, BreakerPolicy, BreakerState, Permit};
use super::failure::{Failure, FailureKind, Partner};
use super::http::exchange;
use super::metrics::RequestMetrics;
use super::oauth::{Obtained, Token, Tokens, fingerprint};
use super::retry::{Retries, RetryPolicy};
use last_good::{Good, LastGood};

/// How API A is called.
#[derive(Clone, Debug)]
pub(crate) struct ApiAConfig {
    pub(crate) url: Url,
    pub(crate) retry: RetryPolicy,
    pub(crate) breaker: BreakerPolicy,
    /// Calls in flight at the most.
    pub(crate) concurrency: usize,
    /// How old the answer may be that stands in for a failure.
    pub(crate) fallback_ttl: Duration,
}

/// The client of API A.
pub(crate) struct ApiA {
    client: Client,
    url: Url,
    tokens: Arc<Tokens>,
    retry: RetryPolicy,
    breaker: Arc<Breaker>,
    places: Arc<Semaphore>,
    last_good: LastGood,
    requests: RequestMetrics,
    calls: CallMetrics,
    under_way: TaskTracker,
}

/// What came of a call.
pub(crate) struct Report {
    /// Requests that API A was sent.
    pub(crate) attempts: u32,
    /// The breaker after the call.
    pub(crate) breaker: BreakerState,
    pub(crate) outcome: Outcome,
}

/// What the caller gets.
pub(crate) enum Outcome {
    Fresh(Box<RawValue>),
    /// An answer from before, and why there is no other.
    Fallback {
        body: Box<RawValue>,
        age: Duration,
        failure: Failure,
    },
    Failed(Failure),
}

/// A call while it is made: requests so far, and what they came to.
type Called = (u32, Result<Good, Failure>);

impl ApiA {
    pub(crate) fn new(
        client: Client,
        tokens: Arc<Tokens>,
        redis: Arc<farmlokal_redis::Connection>,
        config: ApiAConfig,
        under_way: TaskTracker,
    ) -> Arc<Self> {
        let ApiAConfig { url, retry, breaker, concurrency, fallback_ttl } = config;
        Arc::new(Self {
            last_good: LastGood::new(redis, &fingerprint(url.as_str()), fallback_ttl),
            breaker: Breaker::new(Partner::ApiA.name(), breaker),
            places: Arc::new(Semaphore::new(concurrency.min(Semaphore::MAX_PERMITS))),
            requests: RequestMetrics::new(Partner::ApiA),
            calls: CallMetrics::new(),
            under_way,
            client,
            url,
            tokens,
            retry,
        })
    }

    /// Asks API A for its status, which may be asked any number of times.
    pub(crate) async fn status(self: &Arc<Self>) -> Report {
        let (attempts, called) = self.guarded().await;
        let outcome = match called {
            Ok(good) => Outcome::Fresh(good.body),
            Err(failure) => match self.last_good.find().await {
                Some(good) => Outcome::Fallback { age: good.age(), body: good.body, failure },
                None => Outcome::Failed(failure),
            },
        };
        self.calls.count(&outcome);
        Report { attempts, breaker: self.breaker.state(), outcome }
    }

    /// The call behind bulkhead and breaker.
    async fn guarded(self: &Arc<Self>) -> Called {
        let refused = |kind, retry_after| {
            (0, Err(Failure { retry_after: Some(retry_after), ..Failure::new(Partner::ApiA, kind) }))
        };
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return refused(FailureKind::Busy, Duration::from_secs(1));
        };
        let permit = match self.breaker.admit() {
            Ok(permit) => permit,
            Err(wait) => return refused(FailureKind::Suspended, wait),
        };
        let (sender, called) = oneshot::channel();
        let this = Arc::clone(self);
        // A task of its own: clients that go away must not be able to open the breaker.
        let call = async move {
            let (attempts, result) = this.attempts().await;
            tell(permit, &result);
            if let Ok(good) = &result {
                this.last_good.remember(good);
            }
            let good = result.as_ref().ok().cloned();
            // Nobody may be waiting any more.
            let _ = sender.send((attempts, result));
            if let Some(good) = good {
                this.last_good.share(&good).await;
            }
            drop(place);
        };
        self.under_way.spawn(call.instrument(Span::current()));
        called.await.unwrap_or_else(|_| (0, Err(Failure::new(Partner::ApiA, FailureKind::Failed))))
    }

    /// Attempts until one succeeds or there must be no other. A 401 may mean that the token was revoked: it is replaced,
    /// once, and the attempt made again.
    async fn attempts(&self) -> Called {
        let mut retries = Retries::start(self.retry);
        let mut token = match in_time(&retries, self.tokens.get()).await {
            Ok((token, _)) => token,
            Err(failure) => return (0, Err(failure)),
        };
        let mut replaced = false;
        loop {
            let limit = retries.next_attempt();
            let failure = match self.requests.observe(self.attempt(&token, retries.attempts(), limit)).await {
                Ok(body) => return (retries.attempts(), Ok(Good::now(body))),
                Err(failure) => failure,
            };
            if failure.status == Some(401) && !replaced {
                replaced = true;
                match in_time(&retries, self.tokens.replace(&token)).await {
                    Ok((newer, _)) => token = newer,
                    Err(failure) => return (retries.attempts(), Err(failure)),
                }
            } else if !retries.wait_after(&failure).await {
                return (retries.attempts(), Err(failure));
            }
        }
    }

    async fn attempt(&self, token: &Token, number: u32, limit: Duration) -> Result<Box<RawValue>, Failure> {
        let invalid = || Failure::new(Partner::ApiA, FailureKind::Invalid);
        let mut request = Request::new(Method::GET, self.url.clone());
        let bearer = format!("Bearer {}", token.secret.expose_secret());
        let mut bearer = HeaderValue::try_from(bearer).map_err(|_| invalid())?;
        // Kept out of debugging output.
        bearer.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, bearer);
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        let body = exchange(&self.client, Partner::ApiA, request, number, limit).await?;
        parse(&body).ok_or_else(invalid)
    }
}

/// A token, if there is one before the call's deadline.
async fn in_time(retries: &Retries, token: impl Future<Output = Obtained>) -> Obtained {
    let late = || Err(Failure::new(Partner::Oauth, FailureKind::TimedOut));
    timeout_at(retries.ends(), token).await.unwrap_or_else(|_| late())
}

/// Tells the breaker. A token that cannot be had says nothing about API A.
fn tell(permit: Permit, result: &Result<Good, Failure>) {
    match result {
        Ok(_) => permit.succeeded(),
        Err(failure) if failure.partner == Partner::ApiA => permit.failed(),
        Err(_) => permit.not_called(),
    }
}

/// What API A's answer has for certain; whatever else it has is passed on too.
#[derive(Deserialize)]
struct Status<'a> {
    #[serde(rename = "service", borrow)]
    _service: Cow<'a, str>,
}

/// API A's answer as it was sent, if it is one.
fn parse(body: &[u8]) -> Option<Box<RawValue>> {
    serde_json::from_slice::<Status>(body).ok()?;
    serde_json::from_slice(body).ok()
}

/// `farmlokal_api_a_calls_total`
struct CallMetrics {
    fresh: Counter,
    fallback: Counter,
    failed: Counter,
}

impl CallMetrics {
    fn new() -> Self {
        let counter = |outcome| counter!("farmlokal_api_a_calls_total", "outcome" => outcome);
        Self { fresh: counter("fresh"), fallback: counter("fallback"), failed: counter("failed") }
    }

    fn count(&self, outcome: &Outcome) {
        let counter = match outcome {
            Outcome::Fresh(_) => &self.fresh,
            Outcome::Fallback { .. } => &self.fallback,
            Outcome::Failed(_) => &self.failed,
        };
        counter.increment(1);
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn an_answer_is_what_was_agreed_and_stays_as_it_is() {
        let body = "{\"n\": 1.50, \"service\": \"api-a\"}";
        assert_eq!(parse(format!(" {body}\n").as_bytes()).unwrap().get(), body);
        for body in ["", "{", "<html>", "null", "[]", "{}", "{\"service\": 1}", "{\"service\": \"a\"} {}"] {
            assert!(parse(body.as_bytes()).is_none(), "{body}");
        }
    }
}
