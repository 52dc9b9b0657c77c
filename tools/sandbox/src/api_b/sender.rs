//! Sends webhooks until each is acknowledged, as [Standard Webhooks 1.0](https://www.standardwebhooks.com) wants it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use rand::RngExt as _;
use reqwest::Client;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::info;

use super::attempt::{client, deliver};
use super::callbacks::parse_url;
use super::run::Progress;
use super::{Callback, InvalidPlan, Plan, Report};
use crate::sandbox::Partners;

/// Deliveries under way at the most, those that wait for their next attempt included: more wait for their first one.
const MOST_PENDING: usize = 4096;
/// The random numbers of pauses begin here, beyond those of events.
const PAUSES: u64 = 1 << 32;

/// Why nothing is sent.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The plan has a member that is out of range.
    #[error(transparent)]
    Plan(#[from] InvalidPlan),
    /// One run at a time.
    #[error("webhooks are being sent already: DELETE /control/webhooks ends that")]
    Busy,
    /// There is nowhere to send to.
    #[error("no callback is registered, and the plan has no url")]
    NoCallback,
}

/// The run of webhooks that is under way, or was the last.
#[derive(Default)]
pub(crate) struct Sender(Mutex<Option<Run>>);

#[derive(Clone)]
struct Run {
    progress: Arc<Mutex<Progress>>,
    stop: CancellationToken,
    done: CancellationToken,
}

impl Sender {
    /// Begins to send, on `runtime`.
    ///
    /// # Errors
    /// A run is under way, the plan is out of range, or there is nowhere to send to.
    pub(crate) fn start(
        &self,
        partners: &Partners,
        plan: Plan,
        runtime: &Handle,
    ) -> Result<Report, SendError> {
        let plan = plan.settled()?;
        let callbacks = match plan.url.as_deref().and_then(parse_url) {
            Some(url) => vec![Callback { url, key: partners.key.clone() }],
            None => partners.callbacks.all(),
        };
        if callbacks.is_empty() {
            return Err(SendError::NoCallback);
        }
        let mut current = self.lock();
        if current.as_ref().is_some_and(|run| !run.progress().has_ended()) {
            return Err(SendError::Busy);
        }
        let schedule = plan.schedule();
        let progress = Progress::new(plan.clone(), schedule.len() * callbacks.len(), callbacks.len());
        let report = progress.report();
        let run = Run {
            progress: Arc::new(Mutex::new(progress)),
            stop: partners.shutdown.child_token(),
            done: CancellationToken::new(),
        };
        *current = Some(run.clone());
        let work = Work {
            client: client(Duration::from_millis(plan.timeout_ms)).map_err(|_| SendError::NoCallback)?,
            senders: Arc::new(Semaphore::new(plan.senders as usize)),
            pending: Arc::new(Semaphore::new(MOST_PENDING)),
            callbacks,
            plan,
            run,
        };
        runtime.spawn(Arc::new(work).send(schedule));
        Ok(report)
    }

    /// What the run has done so far; none where there was none.
    pub(crate) fn report(&self) -> Option<Report> {
        self.lock().as_ref().map(|run| run.progress().report())
    }

    /// Ends the run: requests in flight are dropped.
    pub(crate) fn stop(&self) {
        if let Some(run) = &*self.lock() {
            run.stop.cancel();
        }
    }

    /// Ends the run and forgets it.
    pub(crate) fn forget(&self) {
        self.stop();
        *self.lock() = None;
    }

    /// Waits until the run has ended.
    pub(crate) async fn ended(&self) -> Option<Report> {
        let run = self.lock().clone()?;
        run.done.cancelled().await;
        let report = run.progress().report();
        Some(report)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Run>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Run {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A run under way.
struct Work {
    plan: Plan,
    callbacks: Vec<Callback>,
    client: Client,
    senders: Arc<Semaphore>,
    pending: Arc<Semaphore>,
    run: Run,
}

impl Work {
    async fn send(self: Arc<Work>, schedule: Vec<u32>) {
        let tasks = TaskTracker::new();
        let sent = Arc::clone(&self).send_all(&schedule, &tasks);
        self.run.stop.run_until_cancelled(sent).await;
        tasks.close();
        tasks.wait().await;
        self.run.progress().ended();
        let report = self.run.progress().report();
        info!(events = report.events, acknowledged = report.acknowledged, "webhooks sent");
        self.run.done.cancel();
    }

    /// Begins every delivery at its time and in its order.
    async fn send_all(self: Arc<Work>, schedule: &[u32], tasks: &TaskTracker) {
        let start = Instant::now();
        for (turn, &event) in schedule.iter().enumerate() {
            if self.plan.rate > 0 {
                let turn = u32::try_from(turn).unwrap_or(u32::MAX);
                tokio::time::sleep_until(start + Duration::from_secs(1) * turn / self.plan.rate).await;
            }
            for callback in 0..self.callbacks.len() {
                let Ok(place) = Arc::clone(&self.pending).acquire_owned().await else { return };
                let Ok(sender) = Arc::clone(&self.senders).acquire_owned().await else { return };
                let (work, stop) = (Arc::clone(&self), self.run.stop.clone());
                let delivery = async move {
                    work.deliver(turn as u64, event, callback, sender).await;
                    drop(place);
                };
                tasks.spawn(async move { stop.run_until_cancelled(delivery).await });
            }
        }
    }

    /// Attempts a delivery until it is acknowledged or given up. It holds a sender while it makes a request only.
    async fn deliver(&self, turn: u64, event: u32, callback: usize, mut sender: OwnedSemaphorePermit) {
        let plan = &self.plan;
        let most = Duration::from_millis(plan.max_backoff_ms);
        let mut pauses = ExponentialBuilder::new()
            .with_jitter()
            .with_jitter_seed(plan.rng(PAUSES + turn).random())
            .with_min_delay(Duration::from_millis(plan.backoff_ms))
            .with_max_delay(most)
            .with_max_times(plan.max_attempts as usize - 1)
            .build();
        let event_id = plan.event(event).event_id;
        let body = serde_json::to_vec(&plan.event(event)).unwrap_or_default();
        loop {
            let answer = deliver(&self.client, &self.callbacks[callback], &event_id, body.clone()).await;
            self.run.progress().attempted(event, callback, answer);
            drop(sender);
            if answer.is_acknowledgement() {
                return;
            }
            let Some(pause) = pauses.next() else { return self.run.progress().abandoned() };
            tokio::time::sleep(pause.max(answer.retry_after.unwrap_or_default()).min(most)).await;
            let Ok(again) = Arc::clone(&self.senders).acquire_owned().await else { return };
            sender = again;
        }
    }
}
