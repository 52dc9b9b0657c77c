//! Events from partners: verified, read, and applied exactly once. `docs/webhook.md` explains the protocol.
//!
//! signature -> event -> claim in Redis -> transaction in the database -> cache made invalid -> claim settled -> 200.
//! A process may be killed between any two of these: the next delivery of the event does what is missing.

mod claims;
mod config;
mod event;
mod invalidation;
#[cfg(test)]
mod properties;
mod prune;
mod register;
mod signature;

use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use chrono::Utc;
use farmlokal_cache::Cache;
use farmlokal_catalog::{Catalog, Event, Outcome, Receipt};
use metrics::{counter, describe_counter, describe_gauge};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use tracing::Instrument as _;

use self::claims::{Claim, Claims};
pub use self::config::WebhookArgs;
use self::event::Times;
use self::invalidation::{Flush, Invalidation};
use crate::answer::Answer;
use crate::health::Health;
use crate::partners;
use crate::problem::{Code, Problem};

const EVENTS: &str = "farmlokal_webhook_events_total";
/// What a delivery can come to.
const OUTCOMES: [&str; 14] = [
    "applied",
    "superseded",
    "deferred",
    "duplicate",
    "invalid_event",
    "invalid_signature",
    "not_configured",
    "event_in_flight",
    "body_too_large",
    "event_conflict",
    "database_unavailable",
    "overloaded",
    "timed_out",
    "internal",
];
/// When a sender should try again.
const RETRY: Duration = Duration::from_secs(1);

/// Takes events.
pub(crate) struct Webhook {
    keys: signature::Keys,
    tolerance: Duration,
    retention: Duration,
    catalog: Catalog,
    health: Health,
    claims: Claims,
    invalidation: Arc<Invalidation>,
    /// What is under way, whether or not its sender still waits.
    deliveries: TaskTracker,
    _background: Vec<AbortOnDropHandle<()>>,
}

/// What a sender is told of an event that has taken effect.
#[derive(Clone, Debug)]
pub(crate) struct Delivered {
    pub(crate) event_id: String,
    pub(crate) status: &'static str,
}

impl Webhook {
    /// Starts what works in the background; call it in a tokio runtime, after the metrics recorder was installed.
    ///
    /// # Errors
    /// A setting that cannot work.
    pub(crate) fn start(
        args: &WebhookArgs,
        catalog: Catalog,
        cache: Cache<Answer>,
        redis: Arc<farmlokal_redis::Connection>,
        health: Health,
    ) -> anyhow::Result<Arc<Self>> {
        describe_metrics();
        let config = args.check()?;
        let invalidation = Arc::new(Invalidation::start(cache, catalog.clone()));
        let mut background = vec![
            spawn(prune::run(catalog.clone(), config.retention + config.tolerance)),
            spawn(invalidation::pay(catalog.clone(), Arc::clone(&invalidation))),
        ];
        if let Some(registration) = config.registration {
            let client = partners::client()?;
            background.push(spawn(register::run(client, registration)));
        }
        Ok(Arc::new(Self {
            keys: config.keys,
            tolerance: config.tolerance,
            retention: config.retention,
            catalog,
            health,
            claims: Claims::new(redis),
            invalidation,
            deliveries: TaskTracker::new(),
            _background: background,
        }))
    }

    /// Takes one delivery. A sender that goes away stops nothing.
    ///
    /// # Errors
    /// Whatever keeps the event from taking effect, now or for ever.
    pub(crate) async fn receive(
        self: &Arc<Self>,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Delivered, Problem> {
        let event = match self.read(headers, body) {
            Ok(event) => event,
            Err(problem) => {
                count(problem.code().documentation().name);
                return Err(problem);
            }
        };
        let webhook = Arc::clone(self);
        let delivery = async move {
            let delivered = webhook.deliver(&event).await;
            count(
                delivered
                    .as_ref()
                    .map_or_else(|problem| problem.code().documentation().name, |status| *status),
            );
            delivered.map(|status| Delivered { event_id: event.id, status })
        };
        match self.deliveries.spawn(delivery.in_current_span()).await {
            Ok(delivered) => delivered,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(Problem::new(Code::Internal, "The service is shutting down.")),
            },
        }
    }

    /// Waits for the deliveries under way. Call it when no more can come.
    pub(crate) async fn close(&self) {
        self.deliveries.close();
        self.deliveries.wait().await;
    }

    fn read(&self, headers: &HeaderMap, body: &[u8]) -> Result<Event, Problem> {
        if !self.keys.can_verify() {
            let detail = "The service has no key that events could be verified with.";
            return Err(Problem::new(Code::NotConfigured, detail));
        }
        let now = Utc::now();
        self.keys
            .verify(headers, body, now, self.tolerance)
            .map_err(|unverified| Problem::new(Code::InvalidSignature, unverified.to_string()))?;
        let times = Times { now, retention: self.retention, tolerance: self.tolerance };
        event::parse(headers, body, times).map_err(|params| Problem::naming(Code::InvalidEvent, params))
    }

    /// Applies an event that has not been applied, and says what became of it.
    async fn deliver(&self, event: &Event) -> Result<&'static str, Problem> {
        match self.claims.claim(event).await {
            Claim::Ours => {}
            Claim::Done => return Ok("duplicate"),
            Claim::Conflict => return Err(conflict()),
            Claim::InFlight => {
                let detail = "Another delivery of this event is being applied.";
                return Err(Problem::new(Code::EventInFlight, detail).retry_after(RETRY));
            }
        }
        let (outcome, status) = match self.apply(event).await {
            Ok(Receipt::New(outcome)) => (outcome, outcome.label()),
            Ok(Receipt::Duplicate(outcome)) => (outcome, "duplicate"),
            Ok(Receipt::Conflict) => {
                self.claims.release(event).await;
                return Err(conflict());
            }
            Err(problem) => {
                self.claims.release(event).await;
                return Err(problem);
            }
        };
        // For a duplicate too: the delivery before this one may have been cut off after its commit.
        let flush = if outcome == Outcome::Applied { self.invalidation.run().await } else { Flush::Done };
        if flush == Flush::Done {
            self.claims.settle(event).await;
            return Ok(status);
        }
        self.claims.release(event).await;
        if flush == Flush::Owed {
            return Ok(status);
        }
        // A 200 would be the last that is heard of it.
        let detail = "The event has taken effect, but answers from before it may still be cached.";
        Err(Problem::new(Code::DatabaseUnavailable, detail).retry_after(RETRY))
    }

    async fn apply(&self, event: &Event) -> Result<Receipt, Problem> {
        self.health.require_database()?;
        Ok(self.catalog.apply(event).await?)
    }
}

fn conflict() -> Problem {
    Problem::new(Code::EventConflict, "Another event with this id has taken effect.")
}

fn count(outcome: &'static str) {
    counter!(EVENTS, "outcome" => outcome).increment(1);
}

/// Says what the metrics mean, and shows counters from the start: a rate cannot see the first of what it has not seen at
/// zero.
fn describe_metrics() {
    for outcome in OUTCOMES {
        counter!(EVENTS, "outcome" => outcome).increment(0);
    }
    describe_counter!(
        EVENTS,
        "Deliveries by outcome: applied; superseded by a newer event; deferred, a price without a product; \
         duplicate; or the code of the problem"
    );
    describe_counter!("farmlokal_webhook_pruned_rows_total", "Old rows removed, by table");
    describe_gauge!("farmlokal_webhook_flush_owed", "1 while the cache could not be flushed after an event");
    describe_gauge!("farmlokal_webhook_registered", "1 once API B has taken our callback");
}

fn spawn(task: impl Future<Output = ()> + Send + 'static) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(task))
}
