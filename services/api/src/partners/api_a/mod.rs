//! API A, called with everything that keeps its faults away from ours.
//!
//! From the outside in: a bound on calls in flight, the breaker, the overall deadline, attempts with backoff, the timeout
//! of each attempt. Whatever comes of it, the last good answer stands in for a failure. The breaker is around the whole
//! call: attempts are not its business, or one call would open it.

mod last_good;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use axum::http::header::{ACCEPT, AUTHORIZATION};
use axum::http::{HeaderValue, Method};
use metrics::counter;
use reqwest::{Client, Request};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout_at;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, Span, warn};
use url::Url;

use super::breaker::{Breaker, BreakerPolicy, BreakerState};
use super::error::{CallError, CallErrorKind, Partner};
use super::http::exchange;
use super::oauth::{Obtained, Token, Tokens, fingerprint};
use super::retry::{Retries, RetryPolicy};
use crate::object::object;
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
    pub(crate) answer: ApiAAnswer,
}

/// What the caller gets.
pub(crate) enum ApiAAnswer {
    Fresh(Box<RawValue>),
    /// An answer from before, and why there is no other.
    Fallback {
        body: Box<RawValue>,
        age: Duration,
        error: CallError,
    },
    Failed(CallError),
}

/// A call while it is made: requests so far, and what they came to.
type Called = (u32, Result<Good, CallError>);

impl ApiA {
    pub(crate) fn new(
        client: Client,
        tokens: Arc<Tokens>,
        redis: Arc<farmlokal_redis::Connection>,
        config: ApiAConfig,
        calls: TaskTracker,
    ) -> Arc<Self> {
        let ApiAConfig { url, retry, breaker, concurrency, fallback_ttl } = config;
        Arc::new(Self {
            last_good: LastGood::new(redis, &fingerprint(url.as_str()), fallback_ttl),
            breaker: Breaker::new(Partner::ApiA.name(), breaker),
            permits: Arc::new(Semaphore::new(concurrency.min(Semaphore::MAX_PERMITS))),
            reached: AtomicBool::new(false),
            calls,
            client,
            url,
            tokens,
            retry,
        })
    }

    /// Asks API A for its status, which may be asked any number of times.
    pub(crate) async fn status(self: &Arc<Self>) -> ApiAReport {
        let (attempts, called) = self.guarded().await;
        let (outcome, answer) = match called {
            Ok(good) => ("fresh", ApiAAnswer::Fresh(good.body)),
            Err(error) => match self.last_good.find().await {
                Some(good) => ("fallback", ApiAAnswer::Fallback { age: good.age(), body: good.body, error }),
                None => ("failed", ApiAAnswer::Failed(error)),
            },
        };
        counter!("farmlokal_api_a_calls_total", "outcome" => outcome).increment(1);
        ApiAReport { attempts, breaker: self.breaker.state(), answer }
    }

    /// The call behind the bound on calls in flight and the breaker.
    async fn guarded(self: &Arc<Self>) -> Called {
        let not_called = |kind, retry_after| {
            (0, Err(CallError { retry_after: Some(retry_after), ..CallError::new(Partner::ApiA, kind) }))
        };
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            return not_called(CallErrorKind::Busy, Duration::from_secs(1));
        };
        let admitted = match self.breaker.admit() {
            Ok(admitted) => admitted,
            Err(wait) => return not_called(CallErrorKind::BreakerOpen, wait),
        };
        let (sender, called) = oneshot::channel();
        let this = Arc::clone(self);
        // A task of its own: clients that go away must not be able to open the breaker.
        let call = async move {
            let (attempts, result) = this.attempts().await;
            // A token that cannot be had says nothing about API A.
            let called = !matches!(&result, Err(error) if error.partner == Partner::Oauth);
            admitted.tell(called.then_some(result.is_ok()));
            if called
                && !this.reached.swap(true, Relaxed)
                && let Err(error) = &result
            {
                warn!(%error, "the first call of API A failed");
            }
            let good = result.as_ref().ok().cloned();
            if let Some(good) = &good {
                this.last_good.remember(good);
            }
            // Nobody may be waiting any more.
            let _ = sender.send((attempts, result));
            if let Some(good) = good {
                this.last_good.share(&good).await;
            }
            drop(permit);
        };
        self.calls.spawn(call.instrument(Span::current()));
        called.await.unwrap_or_else(|_| (0, Err(CallError::new(Partner::ApiA, CallErrorKind::Failed))))
    }

    /// Attempts until one succeeds or there must be no other. A 401 may mean that the token was revoked: it is replaced,
    /// once, and the attempt made again.
    async fn attempts(&self) -> Called {
        let mut retries = Retries::start(self.retry);
        let mut token = match in_time(&retries, self.tokens.get()).await {
            Ok((token, _)) => token,
            Err(error) => return (0, Err(error)),
        };
        let mut replaced = false;
        loop {
            let limit = retries.next_attempt();
            let error = match self.attempt(&token, retries.attempts, limit).await {
                Ok(body) => return (retries.attempts, Ok(Good::now(body))),
                Err(error) => error,
            };
            if error.status == Some(401) && !replaced {
                replaced = true;
                match in_time(&retries, self.tokens.replace(&token)).await {
                    Ok((newer, _)) => token = newer,
                    Err(error) => return (retries.attempts, Err(error)),
                }
            } else if !retries.wait_after(&error).await {
                return (retries.attempts, Err(error));
            }
        }
    }

    async fn attempt(&self, token: &Token, number: u32, limit: Duration) -> Result<Box<RawValue>, CallError> {
        let mut request = Request::new(Method::GET, self.url.clone());
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.secret.expose_secret()))
            .map_err(|_| CallError::new(Partner::Oauth, CallErrorKind::Invalid))?;
        // Kept out of debugging output.
        bearer.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, bearer);
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        exchange(&self.client, Partner::ApiA, request, number, limit, parse).await
    }
}

/// A token, if there is one before the call's deadline.
async fn in_time(retries: &Retries, token: impl Future<Output = Obtained>) -> Obtained {
    let late = || Err(CallError::new(Partner::Oauth, CallErrorKind::TimedOut));
    timeout_at(retries.ends, token).await.unwrap_or_else(|_| late())
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
