//! The accounts of all clients, and their reports.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use farmlokal_redis::Connection;
use moka::sync::Cache;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::account::{Account, Step, Terms, nanoseconds};
use crate::metrics::LimiterMetrics;
use crate::{Client, Policy, store};

/// What a client has left, as this replica knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Requests that it may send at once.
    pub remaining: u32,
    /// The time until it may send as many as the policy has.
    pub reset: Duration,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may go on.
    Admitted(Quota),
    /// The client has used up its quota.
    Refused {
        /// What it has left: nothing.
        quota: Quota,
        /// The time until one more is admitted.
        retry_after: Duration,
    },
}

/// Limits clients by policies. Clones share the accounts, and each remembers where the one is that it looked up last: give
/// every connection a clone, since the next request on it mostly comes from the same client.
#[derive(Clone)]
pub struct Limiter {
    inner: Arc<Inner>,
    last: Option<Last>,
}

/// For so long an account that was looked up is not looked up again. The accounts must hear now and then of those that are in
/// use, and one that they have evicted meanwhile counts on beside its successor: not for long.
const REMEMBERED: Duration = Duration::from_millis(100);
/// Accounts are kept at least so long, whatever the policies' windows.
const SHORTEST_IDLE: Duration = Duration::from_secs(1);

/// Reports on their way at the most. In a flood of addresses each has one, and they come faster than Redis hears them.
const REPORTS: usize = 1_024;

struct Inner {
    connection: Arc<Connection>,
    policies: Vec<(Policy, Terms)>,
    accounts: Cache<(u8, Client), Arc<Entry>>,
    started: Instant,
    /// Places for reports.
    reports: Arc<Semaphore>,
    metrics: LimiterMetrics,
}

/// The account that was looked up last.
#[derive(Clone)]
struct Last {
    key: (u8, Client),
    entry: Arc<Entry>,
    /// When it has to be looked up again, on the limiter's clock.
    until: u64,
}

#[derive(Default)]
struct Entry {
    account: Mutex<Account>,
    /// Told whenever a report has come back.
    settled: Notify,
}

impl Entry {
    fn lock(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Limiter {
    /// Limits by these policies, 256 at the most, and remembers up to `capacity` clients, those that ask most, at some
    /// 300 bytes each; each clone may hold on to one more. `connection` has to be supervised by somebody.
    #[must_use]
    pub fn new(connection: Arc<Connection>, policies: &[Policy], capacity: u64) -> Limiter {
        // An account that was not touched for so long is whole again: forgetting it changes nothing.
        let longest = policies.iter().map(|policy| policy.rate.window).max().unwrap_or_default();
        // Whoever remembers it may have touched it for so long unnoticed.
        let idle = longest.max(SHORTEST_IDLE) + REMEMBERED;
        let accounts = Cache::builder().max_capacity(capacity).time_to_idle(idle).build();
        let inner = Arc::new(Inner {
            connection,
            policies: policies.iter().map(|policy| (*policy, Terms::of(policy))).collect(),
            accounts,
            started: Instant::now(),
            reports: Arc::new(Semaphore::new(REPORTS)),
            metrics: LimiterMetrics::new(),
        });
        Limiter { inner, last: None }
    }

    /// Judges a request of `client` by the policy with this index. No lock is held for longer than some nanoseconds, and
    /// nothing is allocated for a client that is known. `None`: the replica is as far ahead of Redis as it may be; see
    /// [`wait`](Self::wait). Must be called in a tokio runtime.
    ///
    /// # Panics
    /// If there is no such policy.
    #[must_use]
    pub fn check(&mut self, policy: u8, client: Client) -> Option<Verdict> {
        let (key, now) = ((policy, client), self.inner.now());
        let last = match self.last.take() {
            Some(last) if last.key == key && now < last.until => last,
            _ => Last { key, entry: self.inner.entry(key), until: now + nanoseconds(REMEMBERED) },
        };
        let verdict = self.inner.judge(key, &last.entry, now, None);
        self.last = Some(last);
        verdict
    }

    /// Like [`check`](Self::check), and waits for the reports in between: one round trip to Redis, a few at the most. A
    /// Redis that is slow or gone makes nobody wait longer than the connection's timeout.
    pub async fn wait(&self, policy: u8, client: Client) -> Verdict {
        self.inner.metrics.waits.increment(1);
        let key = (policy, client);
        let entry = self.inner.entry(key);
        let mut place = None;
        loop {
            // From here on no report comes back unnoticed.
            let settled = entry.settled.notified();
            if let Some(verdict) = self.inner.judge(key, &entry, self.inner.now(), place.take()) {
                return verdict;
            }
            if entry.lock().is_reported() {
                settled.await;
            } else {
                // The others' have all the places; the semaphore is never closed.
                place = Arc::clone(&self.inner.reports).acquire_owned().await.ok();
            }
        }
    }

    /// How many clients are remembered, about.
    #[must_use]
    pub fn clients(&self) -> u64 {
        self.inner.accounts.entry_count()
    }
}

impl Inner {
    fn entry(&self, key: (u8, Client)) -> Arc<Entry> {
        // A known client's entry costs no lock and no allocation.
        self.accounts.get(&key).unwrap_or_else(|| self.accounts.get_with(key, Arc::default))
    }

    /// A report takes `place`, or one that is free.
    fn judge(
        self: &Arc<Self>,
        key: (u8, Client),
        entry: &Arc<Entry>,
        now: u64,
        place: Option<OwnedSemaphorePermit>,
    ) -> Option<Verdict> {
        let (policy, client) = key;
        let (_, terms) = &self.policies[usize::from(policy)];
        let up = self.connection.is_up();
        let (step, report) = {
            let mut account = entry.lock();
            let step = account.judge(terms, now, up);
            let report = if up && account.is_report_due(terms, now) {
                let place = place.or_else(|| Arc::clone(&self.reports).try_acquire_owned().ok());
                place.map(|place| (account.take_report(), place))
            } else {
                None
            };
            (step, report)
        };
        if let Some((count, place)) = report {
            let report = Arc::clone(self).report(policy, client, Arc::clone(entry), count);
            tokio::spawn(async move {
                report.await;
                drop(place);
            });
        }
        match step {
            Step::Admit(quota) => Some(Verdict::Admitted(quota)),
            Step::Refuse(quota, retry_after) => Some(Verdict::Refused { quota, retry_after }),
            Step::Wait => None,
        }
    }

    fn now(&self) -> u64 {
        nanoseconds(self.started.elapsed())
    }

    async fn report(self: Arc<Self>, policy: u8, client: Client, entry: Arc<Entry>, count: u32) {
        let (policy, terms) = &self.policies[usize::from(policy)];
        let charge = Duration::from_nanos(terms.interval * u64::from(count));
        let whole_in = store::report(&self.connection, policy, client, charge).await;
        let outcome = if whole_in.is_some() { &self.metrics.heard } else { &self.metrics.lost };
        outcome.increment(1);
        entry.lock().settle(terms, self.now(), whole_in);
        entry.settled.notify_waiters();
    }
}
