//! Events from partners: verified, read, and applied exactly once. `docs/webhook.md` explains the protocol.
//!
//! signature -> event -> claim in Redis -> transaction in the database -> cache made invalid -> claim settled -> 200.
//! A process may be killed between any two of these: the next delivery of the event does what is missing.

mod claims;
mod config;
mod event;
mod invalidation;
mod prune;
mod register;
mod signature;

use std::sync::Arc;
use std::time::Duration;

use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use chrono::Utc;
use farmlokal_cache::Cache;
use farmlokal_catalog::{Catalog, Event, Outcome, Receipt};
use metrics::{counter, describe_counter, describe_gauge};
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use self::claims::{Claim, Claims};
pub use self::config::WebhookArgs;
use self::event::Times;
use self::invalidation::Invalidation;
use crate::answer::Answer;
use crate::health::Health;
use crate::partners;
use crate::problem::{Code, Problem};

const EVENTS: &str = "farmlokal_webhook_events_total";
/// What a delivery can come to.
const OUTCOMES: [&str; 16] = [
    "applied",
    "superseded",
    "deferred",
    "duplicate",
    "invalid_event",
    "invalid_signature",
    "not_configured",
    "event_in_flight",
    "body_too_large",
    "unsupported_media_type",
    "event_conflict",
    "invalidation_failed",
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
    invalidation: Invalidation,
    /// What is under way, whether or not its sender still waits.
    deliveries: TaskTracker,
}

/// What a sender is told of an event that has taken effect.
#[derive(Clone, Debug)]
pub(crate) struct Delivered {
    pub(crate) event_id: String,
    pub(crate) status: &'static str,
}

impl Webhook {
    /// Starts what works in the background in `tasks`; call it in a tokio runtime, after the metrics recorder was installed.
    ///
    /// # Errors
    /// A setting that cannot work.
    pub(crate) fn start(
        args: &WebhookArgs,
        catalog: Catalog,
        cache: Cache<Answer>,
        redis: Arc<farmlokal_redis::Connection>,
        health: Health,
        tasks: &mut JoinSet<()>,
    ) -> anyhow::Result<Arc<Self>> {
        describe_metrics();
        let config = args.check()?;
        tasks.spawn(prune::run(catalog.clone(), config.retention + config.tolerance));
        if let Some(registration) = config.registration {
            tasks.spawn(register::run(partners::client()?, registration));
        }
        Ok(Arc::new(Self {
            keys: config.keys,
            tolerance: config.tolerance,
            retention: config.retention,
            catalog,
            health,
            claims: Claims::new(redis),
            invalidation: Invalidation::start(cache, tasks),
            deliveries: TaskTracker::new(),
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
        require_json(headers)?;
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
        // For a duplicate too: after the commit of the delivery before, the invalidation may have failed.
        if outcome == Outcome::Applied && !self.invalidation.of_product(event.product).await {
            self.claims.release(event).await;
            // After a 200 the sender would not deliver it again.
            let detail = "The event has taken effect, but answers from before it may still be cached.";
            return Err(Problem::new(Code::InvalidationFailed, detail).retry_after(RETRY));
        }
        self.claims.settle(event).await;
        Ok(status)
    }

    async fn apply(&self, event: &Event) -> Result<Receipt, Problem> {
        self.health.require_database()?;
        Ok(self.catalog.apply(event).await?)
    }
}

/// Refuses a body that is compressed, or said to be something else than JSON.
fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let is = |value: &HeaderValue, name: &str| {
        let value = value.to_str().unwrap_or_default();
        value.split(';').next().is_some_and(|value| value.trim().eq_ignore_ascii_case(name))
    };
    let detail = if headers.get_all(CONTENT_ENCODING).iter().any(|coding| !is(coding, "identity")) {
        "The body must not be compressed: send it without Content-Encoding."
    } else if headers.get(CONTENT_TYPE).is_some_and(|kind| !is(kind, "application/json")) {
        "The body must be application/json."
    } else {
        return Ok(());
    };
    Err(Problem::new(Code::UnsupportedMediaType, detail))
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
    for table in ["webhook_events", "product_versions"] {
        counter!(prune::PRUNED_ROWS, "table" => table).increment(0);
    }
    describe_counter!(prune::PRUNED_ROWS, "Old rows removed, by table");
    describe_gauge!(
        "farmlokal_webhook_invalidation_failing",
        "1 while the cache could not be invalidated after an event"
    );
    describe_gauge!("farmlokal_webhook_registered", "1 once API B has taken our callback");
}
