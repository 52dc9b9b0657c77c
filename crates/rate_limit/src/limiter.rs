//! The accounts of all clients, and their reports.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use farmlokal_redis::Connection;
use metrics::{Counter, counter, describe_counter};
use moka::sync::Cache;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::account::{Account, Terms, nanoseconds};
use crate::{Client, Policy, middleware, store};

const REPORTS: &str = "farmlokal_rate_limit_reports_total";
const WAITS: &str = "farmlokal_rate_limit_waits_total";

/// Accounts are kept at least so long, whatever the policies' windows.
const SHORTEST_IDLE: Duration = Duration::from_secs(1);
/// Reports on their way at the most. In a flood of addresses each has one, and they come faster than Redis takes them.
const MAX_REPORTS: usize = 1_024;

/// Gives the metrics recorder the help text of every metric of this crate. Call it once, at start.
pub fn describe_metrics() {
    describe_counter!(
        REPORTS,
        "Reports of admitted requests to Redis, by whether it took them (heard, lost)"
    );
    describe_counter!(
        WAITS,
        "Requests that waited for a report, their replica being as far ahead as it may be"
    );
    middleware::describe_metrics();
}

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

/// Limits clients by policies. Clones share the accounts.
#[derive(Clone)]
pub struct Limiter(Arc<Inner>);

struct Inner {
    connection: Arc<Connection>,
    policies: Vec<(Policy, Terms)>,
    /// By the policy's index and the client.
    accounts: Cache<(usize, Client), Arc<Entry>>,
    started: Instant,
    /// Permits for reports.
    reports: Arc<Semaphore>,
    /// Whether Redis did not take the last report.
    is_report_lost: AtomicBool,
    heard: Counter,
    lost: Counter,
    waits: Counter,
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
    /// Limits by these policies, and remembers up to `capacity` clients, those that ask most, at some 300 bytes each.
    /// `connection` has to be supervised by somebody.
    #[must_use]
    pub fn new(connection: Arc<Connection>, policies: &[Policy], capacity: u64) -> Limiter {
        // An account that was not touched for so long is whole again: forgetting it changes nothing.
        let longest = policies.iter().map(|policy| policy.rate.window).max().unwrap_or_default();
        let idle = longest.max(SHORTEST_IDLE);
        Limiter(Arc::new(Inner {
            connection,
            policies: policies.iter().map(|policy| (*policy, Terms::of(policy))).collect(),
            accounts: Cache::builder().max_capacity(capacity).time_to_idle(idle).build(),
            started: Instant::now(),
            reports: Arc::new(Semaphore::new(MAX_REPORTS)),
            is_report_lost: AtomicBool::new(false),
            heard: counter!(REPORTS, "result" => "heard"),
            lost: counter!(REPORTS, "result" => "lost"),
            waits: counter!(WAITS),
        }))
    }

    /// Judges a request of `client` by the policy with this index.
    ///
    /// Most are judged at once. Where the replica is as far ahead of Redis as it may be, this waits for a report: one round
    /// trip to Redis, a few at the most. Nobody waits longer than the connection's timeout: then, and from the first report
    /// that is lost until Redis has taken another one, the replica judges alone.
    ///
    /// # Panics
    /// If there is no such policy.
    pub async fn check(&self, policy: usize, client: Client) -> Verdict {
        let key = (policy, client);
        let entry = self.0.entry(key);
        if let Some(verdict) = self.0.judge(key, &entry, None) {
            return verdict;
        }
        self.0.waits.increment(1);
        let waited = tokio::time::timeout(self.0.connection.timeout(), self.wait(key, &entry));
        // On the heap: requests that are judged at once would have to move a future with room for a timer.
        Box::pin(waited)
            .await
            .unwrap_or_else(|_| entry.lock().judge_locally(&self.0.policies[policy].1, self.0.now()))
    }

    async fn wait(&self, key: (usize, Client), entry: &Arc<Entry>) -> Verdict {
        let mut permit = None;
        loop {
            // From here on no report comes back unnoticed.
            let settled = entry.settled.notified();
            if let Some(verdict) = self.0.judge(key, entry, permit.take()) {
                return verdict;
            }
            if entry.lock().is_reported() {
                settled.await;
            } else {
                // Other clients' reports have all permits; the semaphore is never closed.
                permit = Arc::clone(&self.0.reports).acquire_owned().await.ok();
            }
        }
    }
}

impl Inner {
    fn entry(&self, key: (usize, Client)) -> Arc<Entry> {
        // The entry of a client that has one costs no lock and no allocation.
        self.accounts.get(&key).unwrap_or_else(|| self.accounts.get_with(key, Arc::default))
    }

    /// `None`: the replica is as far ahead of Redis as it may be, and Redis takes reports. A report takes `permit`, or one
    /// that is free.
    fn judge(
        self: &Arc<Self>,
        key: (usize, Client),
        entry: &Arc<Entry>,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Option<Verdict> {
        let (policy, client) = key;
        let (_, terms) = &self.policies[policy];
        let (up, now) = (self.connection.is_up(), self.now());
        let mut account = entry.lock();
        let mut verdict = account.judge(terms, now, up);
        if verdict.is_none() && self.is_report_lost.load(Ordering::Relaxed) {
            verdict = Some(account.judge_locally(terms, now));
        }
        if up && account.is_report_due(terms, now) {
            let permit = permit.or_else(|| Arc::clone(&self.reports).try_acquire_owned().ok());
            if let Some(permit) = permit {
                let count = account.take_report();
                let report = Arc::clone(self).report(policy, client, Arc::clone(entry), count);
                tokio::spawn(async move {
                    report.await;
                    drop(permit);
                });
            }
        }
        verdict
    }

    /// The limiter's own clock.
    fn now(&self) -> u64 {
        nanoseconds(self.started.elapsed())
    }

    async fn report(self: Arc<Self>, policy: usize, client: Client, entry: Arc<Entry>, count: u32) {
        let (policy, terms) = &self.policies[policy];
        let charge = Duration::from_nanos(terms.interval * u64::from(count));
        let whole_in = store::report(&self.connection, policy, client, charge).await;
        let outcome = if whole_in.is_some() { &self.heard } else { &self.lost };
        outcome.increment(1);
        self.is_report_lost.store(whole_in.is_none(), Ordering::Relaxed);
        entry.lock().settle(terms, self.now(), whole_in);
        entry.settled.notify_waiters();
    }
}
