//! Access tokens: kept in the process and in Redis, fetched by one caller at a time across all replicas, replaced before
//! they end.
//!
//! `docs/partners.md` follows a request for a token through all of this.

mod provider;
mod refresh;
mod token;
mod token_cache;

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use metrics::counter;
use serde::Serialize;
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep};
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, Span, debug, info, warn};
use url::Url;
use utoipa::ToSchema;

pub(crate) use token::{Token, fingerprint};

use super::config::PartnersArgs;
use super::error::{CallError, Partner};
use crate::problem::Code;
use provider::Provider;
use token_cache::{Lookup, TokenCache};

/// How long this process does not ask the provider again after a failure, with jitter up to twice as long; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// The shortest time between two looks for a token that another replica is fetching. One caller in each replica looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How much longer than a fetch its lock lasts.
const LOCK_MARGIN: Duration = Duration::from_secs(1);

/// Where a token came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum TokenSource {
    /// This process had it.
    Memory,
    /// Redis had it: another process fetched it, or this one before it was restarted.
    Redis,
    /// It was fetched for this request.
    Provider,
}

/// A token and where it came from, or why there is none.
pub(crate) type Obtained = Result<(Arc<Token>, TokenSource), CallError>;

/// The tokens of one client for one audience.
pub(crate) struct Tokens {
    provider: Provider,
    cache: TokenCache,
    current: watch::Sender<Option<Arc<Token>>>,
    /// Held by the one who is getting a token for this process.
    flight: Arc<Mutex<Trouble>>,
    calls: TaskTracker,
}

/// The last failure: while the pause lasts, all callers in this process get the same error at once.
#[derive(Default)]
struct Trouble(Option<(CallError, Instant, ExponentialBackoff)>);

impl Trouble {
    fn pending(&self) -> Option<CallError> {
        let (error, until, _) = self.0.as_ref()?;
        let left = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
        Some(CallError { retry_after: Some(left), ..error.clone() })
    }

    /// Notes what came of a fetch, and says in an error how long to wait.
    fn note(&mut self, obtained: Obtained) -> Obtained {
        let Err(mut error) = obtained else {
            self.0 = None;
            return obtained;
        };
        let mut pauses = if let Some((_, _, pauses)) = self.0.take() {
            debug!(%error, "still no access token");
            pauses
        } else {
            warn!(%error, "no access token: trying again with each request, after a pause");
            let pauses = ExponentialBuilder::new().with_jitter().without_max_times();
            pauses.with_min_delay(FIRST_PAUSE).with_max_delay(LONGEST_PAUSE).build()
        };
        let pause = pauses.next().unwrap_or(LONGEST_PAUSE).max(error.retry_after.unwrap_or_default());
        error.retry_after = Some(pause);
        self.0 = Some((error.clone(), Instant::now() + pause, pauses));
        Err(error)
    }
}

impl Tokens {
    /// Fetches nothing yet.
    pub(crate) fn new(
        client: reqwest::Client,
        redis: Arc<farmlokal_redis::Connection>,
        url: Url,
        args: &PartnersArgs,
        calls: TaskTracker,
    ) -> Arc<Self> {
        let text = |setting: &Option<String>| setting.clone().unwrap_or_default();
        let [id, audience, scope] =
            [&args.oauth_client_id, &args.oauth_audience, &args.oauth_scope].map(text);
        // What tells these tokens from others: a new secret does not make them others.
        let name = fingerprint(&format!("{url}\n{id}\n{audience}\n{scope}"));
        Arc::new(Self {
            cache: TokenCache::new(redis, &name, args.oauth_timeout + LOCK_MARGIN),
            provider: Provider { client, url, args: args.clone() },
            current: watch::Sender::new(None),
            flight: Arc::default(),
            calls,
        })
    }

    /// A token that can be used.
    ///
    /// # Errors
    /// Why there is none; at once while the provider is in trouble.
    pub(crate) async fn get(self: &Arc<Self>) -> Obtained {
        count(self.obtain("").await)
    }

    /// A token in the place of `refused`, which a partner did not take. Others may have replaced it already.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub(crate) async fn replace(self: &Arc<Self>, refused: &Token) -> Obtained {
        count(self.obtain(&refused.fingerprint).await)
    }

    /// A usable token other than the one with the fingerprint `refused`.
    async fn obtain(self: &Arc<Self>, refused: &str) -> Obtained {
        let in_memory = || {
            let usable = |token: &&Arc<Token>| token.is_usable() && token.fingerprint != refused;
            self.current.borrow().as_ref().filter(usable).cloned()
        };
        if let Some(token) = in_memory() {
            return Ok((token, TokenSource::Memory));
        }
        let mut trouble = Arc::clone(&self.flight).lock_owned().await;
        // The caller before us may have got one, or failed.
        if let Some(token) = in_memory() {
            return Ok((token, TokenSource::Memory));
        }
        if let Some(error) = trouble.pending() {
            return Err(error);
        }
        let (this, refused) = (Arc::clone(self), refused.to_owned());
        // A task of its own: a caller that goes away does not leave the lock in Redis.
        let flight = async move { trouble.note(this.fetch(&refused).await) };
        let landed = self.calls.spawn(flight.instrument(Span::current())).await;
        landed.unwrap_or_else(|panic| Err(CallError::from_panic(Partner::Oauth, &panic)))
    }

    /// A token from Redis, or else from the provider.
    async fn fetch(&self, refused: &str) -> Obtained {
        let ends = Instant::now() + self.provider.args.oauth_timeout;
        let owner = format!("{:032x}", rand::random::<u128>());
        loop {
            match self.cache.look(&owner, refused).await {
                Some(Lookup::Token(token)) => return Ok((self.keep(token), TokenSource::Redis)),
                // Without Redis each replica fetches its own.
                Some(Lookup::Locked) | None => break,
                Some(Lookup::Wait) if Instant::now() + 2 * LOOK_EVERY >= ends => {
                    return Err(CallError::new(Partner::Oauth, Code::PartnerTimedOut));
                }
                Some(Lookup::Wait) => sleep(LOOK_EVERY + jitter(LOOK_EVERY)).await,
            }
        }
        match self.provider.issue(ends).await {
            Ok(token) => {
                let token = self.keep(token);
                info!(fingerprint = token.fingerprint, expires_at = %token.expires_at, "a new access token");
                self.cache.store(&owner, &token).await;
                Ok((token, TokenSource::Provider))
            }
            Err(error) => {
                self.cache.unlock(&owner).await;
                Err(error)
            }
        }
    }

    fn keep(&self, token: Token) -> Arc<Token> {
        let token = Arc::new(token);
        self.current.send_replace(Some(Arc::clone(&token)));
        token
    }
}

fn count(obtained: Obtained) -> Obtained {
    let source = match &obtained {
        Ok((_, TokenSource::Memory)) => "memory",
        Ok((_, TokenSource::Redis)) => "redis",
        Ok((_, TokenSource::Provider)) => "provider",
        Err(_) => "none",
    };
    counter!("farmlokal_oauth_tokens_total", "source" => source).increment(1);
    obtained
}

/// A random time up to `longest`.
fn jitter(longest: Duration) -> Duration {
    longest.mul_f64(rand::random_range(0.0..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_provider_in_trouble_is_left_alone_for_longer_and_longer() {
        let mut trouble = Trouble::default();
        let error = CallError::new(Partner::Oauth, Code::PartnerUnreachable);
        for longest in [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
            assert!(trouble.pending().is_none());
            let pause = trouble.note(Err(error.clone())).unwrap_err().retry_after.unwrap();
            assert!((longest / 2..=longest).contains(&pause.as_millis()), "{pause:?} of {longest}");
            tokio::time::advance(pause / 2).await;
            assert!(trouble.pending().is_some_and(|error| error.retry_after < Some(pause)));
            tokio::time::advance(pause).await;
        }
        let asked = CallError { retry_after: Some(Duration::from_secs(60)), ..error };
        assert_eq!(trouble.note(Err(asked.clone())).unwrap_err().retry_after, asked.retry_after);
    }
}
