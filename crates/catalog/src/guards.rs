//! What keeps searches from slowing plain lists down: a full-text search costs what it matches, not what it returns.
//!
//! Four guards, cheapest first: a search that lately ran into its deadline is refused; so is any search while the budget of
//! database time is overdrawn; few run at once; and the database stops each at its deadline. A refused search waits for its whole
//! queue timeout first, so that clients who try again at once cost little.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use metrics::{Counter, counter};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{Error, Refusal, SearchConfig, metrics::SEARCHES_REFUSED};

/// The most slow searches that are remembered: some 200 bytes each.
const MAX_REMEMBERED: usize = 1024;
/// The most searches that wait, for whatever reason. Further ones are refused at once.
const MAX_WAITING: usize = 256;

pub(crate) struct SearchGuards {
    config: SearchConfig,
    running: Semaphore,
    waiting: Semaphore,
    state: Mutex<State>,
}

struct State {
    /// Database time that searches may use now, in seconds. Below zero it is overdrawn.
    balance: f64,
    refilled: Instant,
    slow: HashMap<String, Instant>,
}

/// A statement of a search that is running.
pub(crate) struct Running<'g> {
    guards: &'g SearchGuards,
    started: Instant,
}

/// Why a search may not run yet, and when it may.
#[derive(Debug)]
struct NotNow {
    reason: Refusal,
    retry_after: Duration,
}

impl From<NotNow> for Error {
    fn from(NotNow { reason, retry_after }: NotNow) -> Error {
        refused(reason, retry_after)
    }
}

impl SearchGuards {
    pub(crate) fn new(config: SearchConfig) -> SearchGuards {
        // There from the start: a rate cannot see the first of what it has not seen at zero.
        for reason in Refusal::ALL {
            refusals(reason).increment(0);
        }
        SearchGuards {
            running: Semaphore::new(config.concurrency.max(1)),
            waiting: Semaphore::new(MAX_WAITING),
            state: Mutex::new(State {
                balance: config.burst.as_secs_f64(),
                refilled: Instant::now(),
                slow: HashMap::new(),
            }),
            config,
        }
    }

    /// Lets a search through, or says why not. `words` identifies it.
    pub(crate) async fn admit(&self, words: &str) -> Result<SemaphorePermit<'_>, Error> {
        let Ok(_place) = self.waiting.try_acquire() else {
            return Err(self.crowded());
        };
        let give_up = tokio::time::Instant::now() + self.config.queue_timeout;
        while let Err(not_now) = self.check(words, Instant::now()) {
            let now = tokio::time::Instant::now();
            if now >= give_up {
                return Err(not_now.into());
            }
            tokio::time::sleep_until(give_up.min(now + not_now.retry_after.min(self.config.queue_timeout)))
                .await;
        }
        let Ok(Ok(permit)) = tokio::time::timeout_at(give_up, self.running.acquire()).await else {
            return Err(self.crowded());
        };
        // The searches that it has waited for may have used up the budget.
        self.check(words, Instant::now())?;
        Ok(permit)
    }

    fn crowded(&self) -> Error {
        refused(Refusal::Concurrency, self.config.queue_timeout.max(Duration::from_secs(1)))
    }

    fn check(&self, words: &str, now: Instant) -> Result<(), NotNow> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(until) = state.slow.get(words).filter(|until| **until > now) {
            return Err(NotNow { reason: Refusal::Deadline, retry_after: *until - now });
        }
        let refill = now.saturating_duration_since(state.refilled).as_secs_f64() * self.config.time_share;
        state.balance = (state.balance + refill).min(self.config.burst.as_secs_f64());
        state.refilled = state.refilled.max(now);
        if state.balance < 0.0 {
            let debt = -state.balance / self.config.time_share.max(f64::EPSILON);
            let retry_after = Duration::try_from_secs_f64(debt).unwrap_or(Duration::MAX);
            return Err(NotNow { reason: Refusal::Budget, retry_after });
        }
        Ok(())
    }

    /// Takes the time until this is dropped from the budget.
    pub(crate) fn charge(&self) -> Running<'_> {
        Running { guards: self, started: Instant::now() }
    }

    fn spend(&self, cost: Duration) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).balance -= cost.as_secs_f64();
    }

    /// Refuses this search at once for a while.
    pub(crate) fn remember_slow(&self, words: String) -> Error {
        let now = Instant::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.slow.retain(|_, until| *until > now);
        if state.slow.len() < MAX_REMEMBERED {
            state.slow.insert(words, now + self.config.remember_slow);
        }
        refused(Refusal::Deadline, self.config.remember_slow)
    }
}

/// However it ends: also when its caller went away.
impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.guards.spend(self.started.elapsed());
    }
}

/// Counted in `farmlokal_searches_refused_total`, by reason.
pub(crate) fn refused(reason: Refusal, retry_after: Duration) -> Error {
    refusals(reason).increment(1);
    Error::SearchRefused { reason, retry_after }
}

fn refusals(reason: Refusal) -> Counter {
    counter!(SEARCHES_REFUSED, "reason" => reason.label())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason<T>(result: Result<T, Error>) -> Option<(Refusal, Duration)> {
        match result.err()? {
            Error::SearchRefused { reason, retry_after } => Some((reason, retry_after)),
            _ => None,
        }
    }

    #[tokio::test]
    async fn refuses_the_search_that_waited_too_long() {
        let queue_timeout = Duration::from_millis(20);
        let guards =
            SearchGuards::new(SearchConfig { concurrency: 1, queue_timeout, ..SearchConfig::default() });
        let first = guards.admit("a").await.unwrap();
        assert_eq!(reason(guards.admit("b").await).unwrap().0, Refusal::Concurrency);
        drop(first);
        assert!(guards.admit("b").await.is_ok());
    }

    #[tokio::test]
    async fn refuses_while_the_budget_is_overdrawn() {
        let config =
            SearchConfig { time_share: 0.2, burst: Duration::from_millis(500), ..SearchConfig::default() };
        let guards = SearchGuards::new(config);
        guards.spend(Duration::from_millis(700));
        let now = Instant::now();
        let NotNow { reason, retry_after } = guards.check("a", now).unwrap_err();
        assert_eq!(reason, Refusal::Budget);
        // 200 ms are missing, and a second brings 200 ms.
        assert!(
            retry_after > Duration::from_millis(900) && retry_after <= Duration::from_secs(1),
            "{retry_after:?}"
        );
        assert!(guards.check("a", now + retry_after).is_ok());
        // Time unused for an hour buys the burst, not an hour.
        let later = now + Duration::from_secs(3600);
        assert!(guards.check("a", later).is_ok());
        guards.spend(Duration::from_millis(501));
        assert!(guards.check("a", later).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_search_waits_out_its_time() {
        let queue_timeout = Duration::from_millis(250);
        let guards = SearchGuards::new(SearchConfig { queue_timeout, ..SearchConfig::default() });
        guards.remember_slow("common".to_owned());
        let asked = tokio::time::Instant::now();
        assert_eq!(reason(guards.admit("common").await).unwrap().0, Refusal::Deadline);
        assert_eq!(asked.elapsed(), queue_timeout);
        let crowd = guards.waiting.acquire_many(u32::try_from(MAX_WAITING).unwrap()).await.unwrap();
        assert_eq!(reason(guards.admit("common").await).unwrap().0, Refusal::Concurrency);
        assert_eq!(asked.elapsed(), queue_timeout);
        drop(crowd);
    }

    #[tokio::test]
    async fn remembers_what_ran_into_its_deadline() {
        let guards = SearchGuards::new(SearchConfig::default());
        guards.remember_slow("common".to_owned());
        assert_eq!(reason(guards.admit("common").await).unwrap().0, Refusal::Deadline);
        assert!(guards.admit("rare").await.is_ok());
        assert!(guards.check("common", Instant::now() + Duration::from_secs(61)).is_ok());
    }
}
