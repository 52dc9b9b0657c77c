//! Sends webhooks until each is acknowledged, as [Standard Webhooks 1.0](https://www.standardwebhooks.com) wants it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::header::CONTENT_TYPE;
use axum::http::{StatusCode, Uri};
use backon::{BackoffBuilder as _, ExponentialBuilder};
use chrono::Utc;
use rand::RngExt as _;
use reqwest::Client;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::attempt::Answer;
use super::run::Progress;
use super::{Plan, Report, SigningKey};
use crate::sandbox::{Partners, lock};

/// The random numbers of pauses begin here, beyond those of events.
const PAUSES: u64 = 1 << 32;

/// Why nothing is sent: the status and the text of the answer over HTTP.
pub type SendError = (StatusCode, String);

/// A run of webhooks; clones are the same.
#[derive(Clone)]
pub(crate) struct Run {
    progress: Arc<Mutex<Progress>>,
    stop: CancellationToken,
    done: CancellationToken,
}

impl Partners {
    /// Begins to send webhooks. The report has the plan with its time: it makes the events that are sent.
    ///
    /// # Errors
    /// A run is under way, the plan is out of range, or there is nowhere to send to.
    pub fn send(&self, plan: Plan) -> Result<Report, SendError> {
        let refuse = |error: &str| Err((StatusCode::CONFLICT, error.to_owned()));
        let plan = plan.begun().map_err(|error| (StatusCode::UNPROCESSABLE_ENTITY, error))?;
        let callbacks = self.callbacks();
        if callbacks.is_empty() {
            return refuse("no callback is registered");
        }
        let mut current = lock(&self.run);
        if current.as_ref().is_some_and(|run| !lock(&run.progress).has_ended()) {
            return refuse("webhooks are being sent already: DELETE /control/webhooks ends that");
        }
        let schedule = plan.schedule();
        let progress = Progress::new(plan.clone(), schedule.len() * callbacks.len(), callbacks.len());
        let report = progress.report();
        let run = Run {
            progress: Arc::new(Mutex::new(progress)),
            stop: self.shutdown.child_token(),
            done: CancellationToken::new(),
        };
        *current = Some(run.clone());
        let senders = Arc::new(Semaphore::new(plan.senders as usize));
        let (client, key) = (self.client.clone(), self.key.clone());
        let work = Work { plan, callbacks, key, client, senders, run };
        self.runtime.spawn(Arc::new(work).run(schedule));
        Ok(report)
    }

    /// What the run of webhooks has done so far; none where there was none.
    #[must_use]
    pub fn report(&self) -> Option<Report> {
        lock(&self.run).as_ref().map(|run| lock(&run.progress).report())
    }

    /// Waits until the run of webhooks has ended: until all is acknowledged or given up, or it is stopped.
    pub async fn sent(&self) -> Option<Report> {
        let run = lock(&self.run).clone()?;
        run.done.cancelled().await;
        let report = lock(&run.progress).report();
        Some(report)
    }

    /// Ends the run of webhooks: requests in flight are dropped.
    pub fn stop_sending(&self) {
        if let Some(run) = &*lock(&self.run) {
            run.stop.cancel();
        }
    }
}

/// A run under way.
struct Work {
    plan: Plan,
    callbacks: Vec<Uri>,
    key: SigningKey,
    client: Client,
    senders: Arc<Semaphore>,
    run: Run,
}

impl Work {
    async fn run(self: Arc<Work>, schedule: Vec<u32>) {
        self.run.stop.run_until_cancelled(self.send_all(&schedule)).await;
        let mut progress = lock(&self.run.progress);
        progress.ended();
        let report = progress.report();
        info!(events = report.plan.count, acknowledged = report.acknowledged, "webhooks sent");
        self.run.done.cancel();
    }

    /// Begins every delivery at its time and in its order, and waits for all. Dropped, it drops what is in flight.
    async fn send_all(self: &Arc<Work>, schedule: &[u32]) {
        let (start, mut deliveries) = (Instant::now(), JoinSet::new());
        for (turn, &event) in (0_u32..).zip(schedule) {
            if self.plan.rate > 0 {
                tokio::time::sleep_until(start + Duration::from_secs(1) * turn / self.plan.rate).await;
            }
            for callback in 0..self.callbacks.len() {
                let Ok(sender) = Arc::clone(&self.senders).acquire_owned().await else { return };
                let work = Arc::clone(self);
                deliveries.spawn(async move { work.deliver(turn.into(), event, callback, sender).await });
            }
        }
        deliveries.join_all().await;
    }

    /// Attempts a delivery until it is acknowledged or given up. It holds a sender while it makes a request only.
    async fn deliver(&self, turn: u64, event: u32, callback: usize, mut sender: OwnedSemaphorePermit) {
        let (plan, most) = (&self.plan, Duration::from_millis(self.plan.max_backoff_ms));
        let mut pauses = ExponentialBuilder::new()
            .with_jitter()
            .with_jitter_seed(plan.rng(PAUSES + turn).random())
            .with_min_delay(Duration::from_millis(plan.backoff_ms))
            .with_max_delay(most)
            .with_max_times(plan.max_attempts.saturating_sub(1) as usize)
            .build();
        let event_id = plan.event(event).event_id;
        let body = serde_json::to_vec(&plan.event(event)).unwrap_or_default();
        loop {
            let answer = self.attempt(&self.callbacks[callback], &event_id, body.clone()).await;
            lock(&self.run.progress).attempted(event, callback, answer);
            drop(sender);
            if answer.is_acknowledgement() {
                return;
            }
            let Some(pause) = pauses.next() else { return lock(&self.run.progress).abandoned() };
            tokio::time::sleep(pause.max(answer.retry_after.unwrap_or_default()).min(most)).await;
            let Ok(again) = Arc::clone(&self.senders).acquire_owned().await else { return };
            sender = again;
        }
    }

    /// Delivers `body` once, signed now, and waits for the plan's timeout at the most.
    async fn attempt(&self, callback: &Uri, id: &str, body: Vec<u8>) -> Answer {
        let timestamp = Utc::now().timestamp();
        let request = self
            .client
            .post(callback.to_string())
            .timeout(Duration::from_millis(self.plan.timeout_ms))
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", self.key.sign(id, timestamp, &body));
        let Ok(response) = request.body(body).send().await else { return Answer::default() };
        let answer = Answer::new(response.status(), response.headers());
        // Read to its end, so that the connection can be used again.
        let _ = response.bytes().await;
        answer
    }
}
