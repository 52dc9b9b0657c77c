//! Load at a fixed rate over keep-alive connections, through the Service and through the Ingress, while something else
//! goes on. Every request that got no 200 counts as failed, whatever the cause.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::report::{self, say};
use farmlokal_testing::http::{Client, Target};

/// Connections at a time, shared by the targets in turn.
const CONNECTIONS: usize = 16;
/// Between two requests on a connection: 500 a second over all.
const PERIOD: Duration = Duration::from_millis(32);
/// So many requests on one connection, then another is opened: both kinds of clients are among them.
const REQUESTS_PER_CONNECTION: u64 = 100;
/// What goes on beside it starts so much later and ends so much earlier.
const MARGIN: Duration = Duration::from_secs(1);

/// Load that runs until it is told to finish.
pub(crate) struct Load {
    workers: JoinSet<()>,
    tally: Arc<Mutex<Tally>>,
    stop: CancellationToken,
}

/// What came of it so far.
#[derive(Default)]
struct Tally {
    sent: u64,
    /// Time from when a request was due to the end of its answer, for each that got a 200.
    latencies: Vec<Duration>,
    /// The cause of each kind of failure: how often, and when last.
    failures: BTreeMap<String, (u64, Duration)>,
}

impl Load {
    /// Asks `targets` for `paths`, each connection for others at a time.
    pub(crate) fn start(targets: &[Target], paths: &[String]) -> Load {
        let (tally, stop, mut workers) =
            (Arc::<Mutex<Tally>>::default(), CancellationToken::new(), JoinSet::new());
        let mut start = Instant::now();
        for (index, target) in targets.iter().cycle().take(CONNECTIONS).enumerate() {
            let mut paths = paths.to_vec();
            let first = index * paths.len() / CONNECTIONS;
            paths.rotate_left(first);
            workers.spawn(work(target.clone(), paths, start, Arc::clone(&tally), stop.clone()));
            start += PERIOD / 16;
        }
        Load { workers, tally, stop }
    }

    /// Requests sent so far.
    pub(crate) async fn sent(&self) -> u64 {
        self.tally.lock().await.sent
    }

    /// Keeps up the load while `disturb` runs, and for `at_least` so many requests in all; says how many were sent meanwhile.
    ///
    /// # Errors
    /// The disturbance failed, or a request did.
    pub(crate) async fn during<T>(
        mut self,
        at_least: u64,
        disturb: impl AsyncFnOnce(&Load) -> Result<T>,
    ) -> Result<T> {
        let started = Instant::now();
        tokio::time::sleep(MARGIN).await;
        let before = self.sent().await;
        let disturbed = disturb(&self).await;
        let meanwhile = self.sent().await - before;
        tokio::time::sleep(MARGIN).await;
        // Where the disturbance failed that is what counts; the load's own outcome is still worth a line.
        while disturbed.is_ok() && self.sent().await < at_least {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.stop.cancel();
        while self.workers.join_next().await.is_some() {}
        let mut tally = self.tally.lock().await;
        tally.latencies.sort_unstable();
        let (summary, took) = (tally.summary(), report::time(started.elapsed()));
        say!("load: {summary} in {took}, {meanwhile} of them during the disturbance");
        let done = disturbed?;
        if !tally.failures.is_empty() {
            let causes = tally.failures.iter().map(|(cause, (count, last))| {
                format!("\n    {count} x {cause}, the last {:.2} s in", last.as_secs_f64())
            });
            bail!("{} of {} requests failed:{}", tally.failed(), tally.sent, causes.collect::<String>());
        }
        Ok(done)
    }
}

impl Tally {
    fn failed(&self) -> u64 {
        self.failures.values().map(|(count, _)| count).sum()
    }

    fn summary(&self) -> String {
        let at = |percent: usize| {
            let index = self.latencies.len() * percent / 100;
            report::time(self.latencies.get(index).or(self.latencies.last()).copied().unwrap_or_default())
        };
        let (sent, failed) = (self.sent, self.failed());
        let (p50, p99, slowest) = (at(50), at(99), at(100));
        format!("{sent} requests, {failed} failed; p50 {p50}, p99 {p99}, slowest {slowest},")
    }
}

/// Asks for the paths in turn, on one connection at a time.
async fn work(
    target: Target,
    paths: Vec<String>,
    start: Instant,
    tally: Arc<Mutex<Tally>>,
    stop: CancellationToken,
) {
    let mut client = Client::new(target.clone());
    // A late request does not delay those after it: they are due all the same.
    let mut ticks = tokio::time::interval_at(start.into(), PERIOD);
    for (path, requests) in paths.iter().cycle().zip(1..) {
        let due = ticks.tick().await.into_std();
        if stop.is_cancelled() {
            break;
        }
        tally.lock().await.sent += 1;
        let failure = match client.get(path).await {
            Ok(answer) if answer.status.is_success() => {
                tally.lock().await.latencies.push(due.elapsed());
                None
            }
            // A problem's code; its text may differ each time.
            Ok(answer) => Some(format!("{} {}", answer.status, answer.json().unwrap_or_default()["code"])),
            Err(error) => Some(format!("{error:#}")),
        };
        if let Some(cause) = failure {
            let mut tally = tally.lock().await;
            let entry = tally.failures.entry(format!("via {}: {cause}", target.host)).or_default();
            *entry = (entry.0 + 1, start.elapsed());
        }
        if requests % REQUESTS_PER_CONNECTION == 0 {
            client = Client::new(target.clone());
        }
    }
}
