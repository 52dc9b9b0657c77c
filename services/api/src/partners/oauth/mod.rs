//! Access tokens: kept in the process and in Redis, fetched by one caller at a time across all replicas, replaced before
//! they end.
//!
//! `docs/partners.md` follows a request for a token through all of this.

mod provider;
mod refresh;
mod store;
mod token;

use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, counter};
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, Span, info, warn};

pub(crate) use provider::Credentials;
pub(crate) use token::{Margins, Token, fingerprint};

use super::failure::{Failure, FailureKind, Partner};
use super::retry::jitter;
use provider::Provider;
use store::{Store, Take};

/// How long nobody asks the provider again after it has failed: doubling, up to the bound.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often one who waits for another replica's token looks for it. Each replica has one such, whoever waits for it.
const LOOK_EVERY: Duration = Duration::from_millis(40);
/// How much longer than a fetch its lock lasts.
const LOCK_MARGIN: Duration = Duration::from_secs(1);

/// Where a token came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Memory,
    Redis,
    Provider,
}

impl Source {
    pub(crate) const ALL: [Self; 3] = [Self::Memory, Self::Redis, Self::Provider];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Redis => "redis",
            Self::Provider => "provider",
        }
    }
}

/// A token and where it came from, or why there is none.
pub(crate) type Obtained = Result<(Arc<Token>, Source), Failure>;

/// The tokens of one client for one audience.
pub(crate) struct Tokens {
    provider: Provider,
    store: Store,
    margins: Margins,
    /// The longest that getting a token may take.
    timeout: Duration,
    current: watch::Sender<Option<Arc<Token>>>,
    /// Held by the one who is getting a token for this process.
    flight: Arc<Mutex<Trouble>>,
    under_way: TaskTracker,
    metrics: TokenMetrics,
}

/// What went wrong lately: while the pause lasts, everybody gets the same failure at once.
#[derive(Default)]
struct Trouble {
    failures_in_a_row: u32,
    last: Option<(Failure, Instant)>,
}

impl Trouble {
    fn pending(&self) -> Option<Failure> {
        let (failure, until) = self.last?;
        let left = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
        Some(Failure { retry_after: Some(left), ..failure })
    }

    /// The pause after one failure more.
    fn next_pause(&self) -> Duration {
        let longest = (FIRST_PAUSE * 2_u32.pow(self.failures_in_a_row.min(10))).min(LONGEST_PAUSE);
        longest / 2 + jitter(longest / 2)
    }

    fn note(&mut self, obtained: &Obtained) {
        match obtained {
            Ok(_) => *self = Self::default(),
            Err(failure) => {
                self.failures_in_a_row += 1;
                self.last = Some((*failure, Instant::now() + failure.retry_after.unwrap_or(FIRST_PAUSE)));
            }
        }
    }
}

impl Tokens {
    /// Fetches nothing yet.
    pub(crate) fn new(
        client: reqwest::Client,
        redis: Arc<farmlokal_redis::Connection>,
        credentials: Credentials,
        margins: Margins,
        timeout: Duration,
        under_way: TaskTracker,
    ) -> Arc<Self> {
        Arc::new(Self {
            store: Store::new(redis, &credentials.fingerprint(), timeout + LOCK_MARGIN),
            provider: Provider::new(client, credentials),
            margins,
            timeout,
            current: watch::Sender::new(None),
            flight: Arc::default(),
            under_way,
            metrics: TokenMetrics::new(),
        })
    }

    /// Replaces tokens before they end, in a task that ends with `shutdown`.
    pub(crate) fn keep_fresh(self: &Arc<Self>, shutdown: CancellationToken) {
        tokio::spawn(shutdown.run_until_cancelled_owned(refresh::keep_fresh(Arc::clone(self))));
    }

    /// A token that can be used.
    ///
    /// # Errors
    /// Why there is none; known at once while the provider is in trouble.
    pub(crate) async fn get(self: &Arc<Self>) -> Obtained {
        self.count(self.obtain("").await)
    }

    /// A token in the place of `refused`, which a partner did not take. Others may have replaced it already.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub(crate) async fn replace(self: &Arc<Self>, refused: &Token) -> Obtained {
        self.current.send_if_modified(|current| {
            current.take_if(|token| token.fingerprint == refused.fingerprint).is_some()
        });
        self.store.forget(&refused.fingerprint).await;
        self.count(self.obtain(&refused.fingerprint).await)
    }

    fn subscribe(&self) -> watch::Receiver<Option<Arc<Token>>> {
        self.current.subscribe()
    }

    /// A usable token other than the one with the fingerprint `refused`.
    async fn obtain(self: &Arc<Self>, refused: &str) -> Obtained {
        if let Some(token) = self.in_memory(refused) {
            return Ok((token, Source::Memory));
        }
        let mut trouble = Arc::clone(&self.flight).lock_owned().await;
        // Whoever was before us may have got one, or found out that there is none.
        if let Some(token) = self.in_memory(refused) {
            return Ok((token, Source::Memory));
        }
        if let Some(failure) = trouble.pending() {
            return Err(failure);
        }
        let (this, refused) = (Arc::clone(self), refused.to_owned());
        // A task of its own: a caller that goes away does not leave the lock in Redis behind.
        let flight = async move {
            let obtained = this.fetch(&refused, trouble.next_pause()).await;
            trouble.note(&obtained);
            obtained
        };
        let landed = self.under_way.spawn(flight.instrument(Span::current())).await;
        landed.unwrap_or_else(|_| Err(Failure::new(Partner::Oauth, FailureKind::Failed)))
    }

    fn in_memory(&self, refused: &str) -> Option<Arc<Token>> {
        let current = self.current.borrow();
        current.as_ref().filter(|token| token.is_usable() && token.fingerprint != refused).cloned()
    }

    /// A token from Redis, or else from the provider; `pause` is how long everybody waits if that fails.
    async fn fetch(&self, refused: &str, pause: Duration) -> Obtained {
        let ends = Instant::now() + self.timeout;
        let owner = format!("{:032x}", rand::random::<u128>());
        loop {
            match self.store.take(&owner, refused).await {
                Some(Take::Token(token)) => return Ok((self.adopt(token), Source::Redis)),
                Some(Take::Failure(failure)) => return Err(failure),
                Some(Take::Wait) if Instant::now() + LOOK_EVERY < ends => {
                    sleep(LOOK_EVERY / 2 + jitter(LOOK_EVERY / 2)).await;
                }
                Some(Take::Wait) => {
                    let late = Failure::new(Partner::Oauth, FailureKind::TimedOut);
                    return Err(Failure { retry_after: Some(pause), ..late });
                }
                // Without Redis each replica fetches its own.
                Some(Take::Lead) | None => break,
            }
        }
        match self.provider.issue(ends).await {
            Ok((issued, asked)) => {
                let token = self.adopt(Token::new(issued, self.margins, asked));
                info!(fingerprint = token.fingerprint, expires_at = %token.expires_at, "a new access token");
                self.store.put(&owner, &token).await;
                Ok((token, Source::Provider))
            }
            Err(failure) => {
                let pause = pause.max(failure.retry_after.unwrap_or_default());
                warn!(%failure, ?pause, "no access token");
                self.store.fail(&owner, &failure, pause).await;
                Err(Failure { retry_after: Some(pause), ..failure })
            }
        }
    }

    fn adopt(&self, token: Token) -> Arc<Token> {
        let token = Arc::new(token);
        self.current.send_replace(Some(Arc::clone(&token)));
        token
    }

    fn count(&self, obtained: Obtained) -> Obtained {
        match &obtained {
            Ok((_, source)) => self.metrics.by_source[*source as usize].increment(1),
            Err(_) => self.metrics.failed.increment(1),
        }
        obtained
    }
}

/// `farmlokal_oauth_tokens_total`
struct TokenMetrics {
    by_source: [Counter; 3],
    failed: Counter,
}

impl TokenMetrics {
    fn new() -> Self {
        let counter = |source| counter!("farmlokal_oauth_tokens_total", "source" => source);
        Self { by_source: Source::ALL.map(|source| counter(source.name())), failed: counter("none") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_provider_in_trouble_is_left_alone_for_longer_and_longer() {
        let mut trouble = Trouble::default();
        let failure = Failure::new(Partner::Oauth, FailureKind::Unreachable);
        for longest in [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
            assert_eq!(trouble.pending(), None);
            let pause = trouble.next_pause();
            assert!((longest / 2..=longest).contains(&pause.as_millis()), "{pause:?} of {longest}");
            trouble.note(&Err(Failure { retry_after: Some(pause), ..failure }));
            tokio::time::advance(pause / 2).await;
            assert!(trouble.pending().is_some_and(|failure| failure.retry_after < Some(pause)));
            tokio::time::advance(pause).await;
        }
    }
}
