//! The accounts of all clients, and their reports.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use farmlokal_redis::Connection;
use metrics::{Counter, counter, describe_counter};
use moka::sync::Cache;
use redis::Script;
use tokio::sync::Notify;

use crate::account::Account;
use crate::middleware::REFUSED;
use crate::{Client, Policy};

const REPORTS: &str = "farmlokal_rate_limit_reports_total";
const WAITS: &str = "farmlokal_rate_limit_waits_total";

/// Accounts are kept at least so long, whatever the policies' windows.
const SHORTEST_IDLE: Duration = Duration::from_secs(1);
/// Reports on their way at the most. In a flood of addresses each has one, and they come faster than Redis takes them.
const MAX_REPORTS: usize = 1_024;

/// Adds to the time at which the client has its whole quota again, in microseconds of Redis's own clock, and answers how
/// long that is from now. What was admitted is always added, beyond the quota too: the debt is paid before any replica
/// admits more. A Cluster's client may run it twice, and the client pays twice. The key expires when it would say nothing any more.
static REPORT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local time = redis.call('TIME')
         local now = time[1] * 1000000 + time[2]
         local whole = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now) + ARGV[1]
         redis.call('SET', KEYS[1], string.format('%.0f', whole), 'PX', math.ceil((whole - now) / 1000))
         return whole - now",
    )
});

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
    describe_counter!(
        REFUSED,
        "Requests refused with 429, by policy, and by whom: the account over all replicas, or this process (pod)"
    );
}

/// What becomes of a request, and what its client has left then, as this replica knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Requests that the client may send at once.
    pub remaining: u32,
    /// The time until it may send as many as the policy has.
    pub reset: Duration,
    /// The time until one more is admitted, if this one is refused.
    pub retry_after: Option<Duration>,
}

/// Limits clients by policies.
pub struct Limiter {
    connection: Arc<Connection>,
    policies: Vec<Policy>,
    /// By the policy's index and the client.
    accounts: Cache<(usize, Client), Arc<Entry>>,
    /// Reports on their way.
    reports: AtomicUsize,
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
    pub fn new(connection: Arc<Connection>, policies: &[Policy], capacity: u64) -> Arc<Limiter> {
        // An account that was not touched for so long is whole again: forgetting it changes nothing.
        let longest = policies.iter().map(|policy| policy.rate.window).max().unwrap_or_default();
        let idle = longest.max(SHORTEST_IDLE);
        Arc::new(Limiter {
            connection,
            policies: policies.to_vec(),
            accounts: Cache::builder().max_capacity(capacity).time_to_idle(idle).build(),
            reports: AtomicUsize::new(0),
            is_report_lost: AtomicBool::new(false),
            heard: counter!(REPORTS, "result" => "heard"),
            lost: counter!(REPORTS, "result" => "lost"),
            waits: counter!(WAITS),
        })
    }

    /// Judges a request of `client` by the policy with this index.
    ///
    /// Most are judged at once. Where the replica is as far ahead of Redis as it may be, this waits for a report: one round
    /// trip to Redis, a few at the most. Nobody waits longer than the connection's timeout: then, and from the first report
    /// that is lost until Redis has taken another one, the replica judges alone. So it does while Redis has more reports to
    /// take than may be on their way.
    ///
    /// # Panics
    /// If there is no such policy.
    pub async fn check(self: &Arc<Self>, policy: usize, client: Client) -> Verdict {
        let key = (policy, client);
        // The entry of a client that has one costs no lock and no allocation.
        let entry = self.accounts.get(&key);
        let entry = entry.unwrap_or_else(|| self.accounts.get_with(key, Arc::default));
        if let Some(verdict) = self.judge(key, &entry) {
            return verdict;
        }
        self.waits.increment(1);
        let waited = tokio::time::timeout(self.connection.timeout(), async {
            loop {
                // From here on no report comes back unnoticed.
                let settled = entry.settled.notified();
                if let Some(verdict) = self.judge(key, &entry) {
                    return verdict;
                }
                settled.await;
            }
        });
        // On the heap: requests that are judged at once would have to move a future with room for a timer.
        let waited = Box::pin(waited).await;
        waited.unwrap_or_else(|_| entry.lock().judge_locally(&self.policies[policy], Instant::now()))
    }

    /// `None`: the replica is as far ahead of Redis as it may be, and a report is on its way.
    fn judge(self: &Arc<Self>, key: (usize, Client), entry: &Arc<Entry>) -> Option<Verdict> {
        let policy = &self.policies[key.0];
        let (up, now) = (self.connection.is_up(), Instant::now());
        let mut account = entry.lock();
        let verdict = account.judge(policy, now, up);
        if up
            && self.reports.load(Ordering::Relaxed) < MAX_REPORTS
            && let Some(count) = account.take_report(policy, now)
        {
            self.reports.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(Arc::clone(self).report(key, Arc::clone(entry), count));
        }
        if account.is_reported() && !self.is_report_lost.load(Ordering::Relaxed) {
            return verdict;
        }
        Some(verdict.unwrap_or_else(|| account.judge_locally(policy, now)))
    }

    /// Reports so many requests, and takes over what Redis answers.
    async fn report(self: Arc<Self>, (policy, client): (usize, Client), entry: Arc<Entry>, count: u32) {
        let policy = &self.policies[policy];
        // What the value means depends on the rate: a debt under another one is none under this.
        let (name, rate) = (policy.name, policy.rate);
        let key = format!("farmlokal:limit:{name}:{}/{}:{client}", rate.quota, rate.window.as_secs());
        let charge = (rate.interval() * count).as_micros().max(1);
        let charge = u64::try_from(charge).unwrap_or(u64::MAX);
        let report = |mut connection| async move {
            REPORT.key(key).arg(charge).invoke_async::<u64>(&mut connection).await
        };
        let whole_in = self.connection.run(report).await.map(Duration::from_micros);
        self.reports.fetch_sub(1, Ordering::Relaxed);
        let outcome = if whole_in.is_some() { &self.heard } else { &self.lost };
        outcome.increment(1);
        self.is_report_lost.store(whole_in.is_none(), Ordering::Relaxed);
        entry.lock().settle(policy, Instant::now(), whole_in);
        entry.settled.notify_waiters();
    }
}
