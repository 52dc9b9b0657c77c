//! Load at a fixed rate over keep-alive connections, through the Service and through the Ingress, while something else
//! goes on. Every request that got no 200 counts as failed, whatever the cause.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::http::{Client, Target};
use crate::report;

/// Connections at a time, shared by the targets in turn.
const CONNECTIONS: usize = 16;
/// So many requests on one connection, then another is opened: both kinds of clients are among them.
const REQUESTS_PER_CONNECTION: u64 = 100;
/// What goes on beside it starts so much later and ends so much earlier.
const MARGIN: Duration = Duration::from_secs(1);

/// Load that runs until it is told to finish.
pub(crate) struct Load {
    workers: JoinSet<Tally>,
    sent: Arc<AtomicU64>,
    stop: CancellationToken,
    started: Instant,
}

/// What came of it.
#[derive(Default)]
pub(crate) struct Tally {
    /// Time from when a request was due to the end of its answer, for each that got a 200.
    latencies: Vec<Duration>,
    /// The longest of them, with how long after the start it was due, and where it went.
    slowest: Option<(Duration, Duration, String)>,
    /// The cause of each kind of failure: how often, and when first and last.
    failures: BTreeMap<String, (u64, Duration, Duration)>,
    connections: u64,
}

impl Load {
    /// Asks `targets` for `paths`, so many requests a second over all connections.
    pub(crate) fn start(targets: &[Target], paths: &Arc<[String]>, rate: u32) -> Load {
        let (sent, stop, started) = (Arc::new(AtomicU64::new(0)), CancellationToken::new(), Instant::now());
        let mut workers = JoinSet::new();
        let period = Duration::from_secs(1) * u32::try_from(CONNECTIONS).unwrap_or(1) / rate;
        for (index, target) in targets.iter().cycle().take(CONNECTIONS).enumerate() {
            let worker = Worker {
                client: Client::new(target.clone()),
                via: target.host.clone(),
                paths: Arc::clone(paths),
                next: index * paths.len() / CONNECTIONS,
                started,
            };
            let start = started + period * u32::try_from(index).unwrap_or(0) / 16;
            workers.spawn(worker.run(start, period, Arc::clone(&sent), stop.clone()));
        }
        Load { workers, sent, stop, started }
    }

    /// Requests sent so far; goes on counting.
    pub(crate) fn sent(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.sent)
    }

    /// Goes on until `at_least` requests have been sent, then ends.
    pub(crate) async fn finish(mut self, at_least: u64) -> Outcome {
        tokio::time::sleep(MARGIN).await;
        while self.sent.load(Ordering::Relaxed) < at_least {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.stop.cancel();
        let mut tally = Tally::default();
        while let Some(worker) = self.workers.join_next().await {
            if let Ok(part) = worker {
                tally.add(part);
            }
        }
        tally.latencies.sort_unstable();
        Outcome { tally, took: self.started.elapsed() }
    }
}

/// Keeps up the load while `disturb` runs, and for `at_least` so many requests in all; says how many were sent meanwhile.
///
/// # Errors
/// The disturbance failed, or a request did.
pub(crate) async fn during<T>(
    load: Load,
    at_least: u64,
    disturb: impl Future<Output = Result<T>>,
) -> Result<T> {
    tokio::time::sleep(MARGIN).await;
    let before = load.sent.load(Ordering::Relaxed);
    let disturbed = disturb.await;
    let meanwhile = load.sent.load(Ordering::Relaxed) - before;
    // Where the disturbance failed that is what counts; the load's own outcome is still worth a line.
    let outcome = load.finish(if disturbed.is_ok() { at_least } else { 0 }).await;
    report::say(outcome.summary(meanwhile));
    let done = disturbed?;
    outcome.ensure_none_failed()?;
    Ok(done)
}

/// A finished load.
pub(crate) struct Outcome {
    tally: Tally,
    took: Duration,
}

impl Outcome {
    pub(crate) fn requests(&self) -> u64 {
        self.tally.latencies.len() as u64 + self.failed()
    }

    pub(crate) fn failed(&self) -> u64 {
        self.tally.failures.values().map(|(count, ..)| count).sum()
    }

    /// `meanwhile`: those sent while the disturbance went on.
    pub(crate) fn summary(&self, meanwhile: u64) -> String {
        let sorted = &self.tally.latencies;
        let at = |permille: usize| {
            let index = sorted.len() * permille / 1000;
            sorted.get(index).or(sorted.last()).copied().unwrap_or_default()
        };
        let slowest = self.tally.slowest.as_ref().map_or_else(String::new, |(took, due, to)| {
            format!("{} ({to}, {:.1} s in)", report::time(*took), due.as_secs_f64())
        });
        format!(
            "load: {} requests in {}, {} of them during the disturbance, over {} connections, {} failed; \
             p50 {}, p99 {}, slowest {slowest}",
            report::count(self.requests()),
            report::time(self.took),
            report::count(meanwhile),
            report::count(self.tally.connections),
            self.failed(),
            report::time(at(500)),
            report::time(at(990)),
        )
    }

    /// # Errors
    /// Some requests failed: says how many of each cause, and when.
    pub(crate) fn ensure_none_failed(&self) -> Result<()> {
        if self.tally.failures.is_empty() {
            return Ok(());
        }
        let causes = self.tally.failures.iter().map(|(cause, (count, first, last))| {
            format!("\n    {count} x {cause}, {:.2} to {:.2} s in", first.as_secs_f64(), last.as_secs_f64())
        });
        bail!("{} of {} requests failed:{}", self.failed(), self.requests(), causes.collect::<String>());
    }
}

impl Tally {
    fn add(&mut self, other: Tally) {
        self.latencies.extend(other.latencies);
        self.connections += other.connections;
        self.slowest = self.slowest.take().max(other.slowest);
        for (cause, (count, first, last)) in other.failures {
            let entry = self.failures.entry(cause).or_insert((0, first, last));
            *entry = (entry.0 + count, entry.1.min(first), entry.2.max(last));
        }
    }

    fn fail(&mut self, cause: String, when: Duration) {
        let entry = self.failures.entry(cause).or_insert((0, when, when));
        *entry = (entry.0 + 1, entry.1, when);
    }
}

struct Worker {
    client: Client,
    via: String,
    paths: Arc<[String]>,
    next: usize,
    started: Instant,
}

impl Worker {
    async fn run(
        mut self,
        start: Instant,
        period: Duration,
        sent: Arc<AtomicU64>,
        stop: CancellationToken,
    ) -> Tally {
        let mut tally = Tally::default();
        // A late request does not delay those after it: they are due all the same.
        let mut ticks = tokio::time::interval_at(start.into(), period);
        let mut requests = 0;
        while !stop.is_cancelled() {
            let due = ticks.tick().await.into_std();
            let path = &self.paths[self.next % self.paths.len()];
            self.next += 1;
            sent.fetch_add(1, Ordering::Relaxed);
            requests += 1;
            match self.client.get(path).await {
                Ok(answer) if answer.status.is_success() => {
                    let took = due.elapsed();
                    tally.latencies.push(took);
                    if tally.slowest.as_ref().is_none_or(|(slowest, ..)| took > *slowest) {
                        let to = format!("{path} via {}", self.via);
                        tally.slowest = Some((took, due.saturating_duration_since(self.started), to));
                    }
                }
                Ok(answer) => {
                    // A problem's code; its text may differ each time.
                    let problem = answer.json().unwrap_or_default();
                    let code = problem["code"].as_str().unwrap_or("");
                    tally.fail(format!("via {}: {} {code}", self.via, answer.status), self.started.elapsed());
                }
                Err(failure) => tally.fail(format!("via {}: {failure}", self.via), self.started.elapsed()),
            }
            if requests % REQUESTS_PER_CONNECTION == 0 {
                self.client.leave();
            }
        }
        tally.connections = self.client.connections;
        tally
    }
}
