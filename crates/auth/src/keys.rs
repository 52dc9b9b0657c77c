//! Keeps the issuer's keys up to date.
//!
//! One task fetches them, so there is one request at a time, and a caller that goes away takes nothing with it.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{info, warn};

use crate::fetch::{FetchError, Fetched, TIMEOUT};
use crate::key::{Algorithm, Key, KeySet};
use crate::{Refused, metrics};

/// After so long they are fetched again, whatever the issuer says: a key that was withdrawn is not taken for longer.
const PERIOD: Duration = Duration::from_mins(10);
/// Nor sooner than this, where the issuer says how long they may be kept.
const SHORTEST_PERIOD: Duration = Duration::from_mins(1);
/// The shortest and the longest pause after an attempt that failed.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// Tokens with a key that is not known have it fetched at once, but not within this time of the last such attempt: anybody
/// can send one.
const ASKED_PAUSE: Duration = Duration::from_secs(5);

/// Callers that wait for keys at the most: a slow issuer must not hold all requests.
pub(crate) const MAX_WAITING: usize = 128;

/// What is known of the issuer.
#[derive(Default)]
struct Known {
    /// Those of the last attempt that succeeded.
    keys: Option<KeySet>,
    /// Whether any attempt has ended.
    is_tried: bool,
    /// When the last attempt ended that a token had asked for.
    asked: Option<Instant>,
}

impl Known {
    fn find(&self, algorithm: Algorithm, kid: Option<&str>) -> Result<Arc<Key>, Refused> {
        self.keys.as_ref().map_or(Err(Refused::Unavailable), |keys| keys.find(algorithm, kid))
    }

    fn may_be_asked(&self) -> bool {
        self.asked.is_none_or(|ended| ended.elapsed() >= ASKED_PAUSE)
    }
}

/// The issuer's keys as they are now.
pub(crate) struct Keys {
    known: watch::Receiver<Known>,
    wanted: Arc<Notify>,
    waiting: Semaphore,
}

impl Keys {
    /// The key that a token names. If it is not known, it waits for an attempt to fetch it.
    ///
    /// # Errors
    /// As [`KeySet::find`]; and [`Refused::Unavailable`] where no attempt has succeeded yet, or too many wait for one.
    pub(crate) async fn find(&self, algorithm: Algorithm, kid: Option<&str>) -> Result<Arc<Key>, Refused> {
        let mut known = self.known.clone();
        let is_missing = |known: &Known| {
            let found = known.find(algorithm, kid);
            matches!(found, Err(Refused::UnknownKey | Refused::Unavailable)) && known.may_be_asked()
        };
        if is_missing(&known.borrow()) {
            let _permit = self.waiting.try_acquire().map_err(|_| Refused::Unavailable)?;
            // Whether it comes or not: what counts is what is known then.
            let _ = timeout(TIMEOUT, self.ask(&mut known, is_missing)).await;
        }
        known.borrow().find(algorithm, kid)
    }

    async fn ask(&self, known: &mut watch::Receiver<Known>, is_missing: impl Fn(&Known) -> bool) {
        // The first attempt is under way from the start: there is nothing to ask for before it ends.
        if known.wait_for(|known| known.is_tried).await.is_ok_and(|known| is_missing(&known)) {
            self.wanted.notify_one();
            let _ = known.wait_for(|known| !is_missing(known)).await;
        }
    }

    fn new(known: watch::Receiver<Known>, wanted: Arc<Notify>) -> Keys {
        Keys { known, wanted, waiting: Semaphore::new(MAX_WAITING) }
    }

    #[cfg(test)]
    pub(crate) fn fixed(keys: KeySet) -> Keys {
        let known = watch::Sender::new(Known { keys: Some(keys), is_tried: true, asked: None });
        Keys::new(known.subscribe(), Arc::default())
    }
}

/// The keys, and the task that keeps them up to date.
pub(crate) fn keep<F, Fut>(fetch: F) -> (Keys, impl Future<Output = ()> + use<F, Fut>)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<Fetched, FetchError>>,
{
    let (sender, known) = watch::channel(Known::default());
    let wanted = Arc::new(Notify::new());
    (Keys::new(known, Arc::clone(&wanted)), refresh(sender, wanted, fetch))
}

async fn refresh<F, Fut>(known: watch::Sender<Known>, wanted: Arc<Notify>, fetch: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<Fetched, FetchError>>,
{
    let (mut due, mut pauses) = (Instant::now(), pauses());
    // How the last attempt ended, for the log to tell of changes only.
    let mut succeeded = None;
    loop {
        let is_asked = tokio::select! {
            () = sleep_until(due) => false,
            () = wanted.notified() => true,
        };
        // Somebody may have asked while the answer was on its way.
        if is_asked && !known.borrow().may_be_asked() {
            continue;
        }
        let fetched = fetch().await;
        metrics::count_fetched(fetched.as_ref().err());
        let changed = succeeded.replace(fetched.is_ok()) != Some(fetched.is_ok());
        let (keys, pause) = match fetched {
            Ok(Fetched { keys, max_age }) => {
                metrics::show_keys(keys.len());
                if changed {
                    info!(keys = keys.len(), "the token issuer's keys are known");
                }
                pauses = self::pauses();
                (Some(keys), max_age.map_or(PERIOD, |age| age.clamp(SHORTEST_PERIOD, PERIOD)))
            }
            Err(error) => {
                if changed {
                    warn!(%error, "the token issuer gives no keys: the last ones go on, where there are some");
                }
                (None, pauses.next().unwrap_or(PAUSES.1))
            }
        };
        let now = Instant::now();
        due = now + pause;
        known.send_modify(|known| {
            known.is_tried = true;
            known.asked = if is_asked { Some(now) } else { known.asked };
            known.keys = keys.or_else(|| known.keys.take());
        });
    }
}

fn pauses() -> ExponentialBackoff {
    let pauses = ExponentialBuilder::new().with_min_delay(PAUSES.0).with_max_delay(PAUSES.1);
    pauses.without_max_times().with_jitter().build()
}
