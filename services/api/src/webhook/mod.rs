//! Events from partners: verified, read, and applied exactly once. `docs/webhook.md` explains the protocol.
//!
//! signature -> event -> claim in Redis -> transaction in the database -> cache made invalid -> claim settled -> 200.
//! A process may be killed between any two of these: the next delivery of the event does what is missing.

mod claims;
mod config;
mod event;
#[cfg(test)]
mod property_tests;
mod register;
mod signature;

use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use bytes::Bytes;
use chrono::Utc;
use farmlokal_catalog::{Catalog, Event, Outcome, Receipt};
use metrics::{counter, describe_counter, describe_gauge};
use serde::Serialize;
use tokio::task::JoinSet;
use utoipa::ToSchema;

use self::claims::{Claim, Claims};
pub use self::config::WebhookArgs;
use self::event::Times;
use self::signature::Keys;
use crate::body::require_json;
use crate::detached::Detached;
use crate::health::Health;
use crate::invalidation::Invalidation;
use crate::partners;
use crate::problem::{Code, Problem};

const EVENTS: &str = "farmlokal_webhook_events_total";
/// What a delivery can come to, separated by spaces.
const OUTCOMES: &str = "applied superseded deferred duplicate invalid_event invalid_signature not_configured \
    event_in_flight body_too_large unsupported_media_type event_conflict invalidation_failed database_unavailable \
    overloaded timed_out internal";
/// Deliveries under way at the same time. They outlive their requests, and so the limits on those.
const MAX_DELIVERIES: usize = 512;
/// When a sender should try again.
const RETRY: Duration = Duration::from_secs(1);

/// Takes events.
pub(crate) struct Webhook {
    keys: Keys,
    tolerance: Duration,
    retention: Duration,
    catalog: Catalog,
    health: Health,
    claims: Claims,
    invalidation: Invalidation,
    /// What is under way, whether or not its sender still waits.
    deliveries: Detached,
}

/// What became of an event.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Delivery {
    #[schema(example = "evt_2Y9QvX")]
    event_id: String,
    /// `applied`, now; `superseded`: a newer event of the product was there first; `deferred`: a price for a product that
    /// is not there, kept in case it comes late; `duplicate`: it had taken effect before.
    #[schema(example = "applied", pattern = "^(applied|superseded|deferred|duplicate)$")]
    status: &'static str,
}

impl Webhook {
    /// Starts what works in the background in `tasks`; call it in a tokio runtime, after the metrics recorder was installed.
    ///
    /// # Errors
    /// A setting that cannot work.
    pub(crate) fn start(
        args: &WebhookArgs,
        catalog: Catalog,
        invalidation: Invalidation,
        redis: Arc<farmlokal_redis::Connection>,
        health: Health,
        tasks: &mut JoinSet<()>,
    ) -> anyhow::Result<Arc<Self>> {
        describe_metrics();
        let (tolerance, retention) = (args.webhook_tolerance, args.webhook_retention);
        let keys = args.keys()?;
        if let Some((partner, callback)) = args.registration()? {
            tasks.spawn(register::run(partners::client()?, partner, callback));
        }
        Ok(Arc::new(Self {
            keys,
            tolerance,
            retention,
            catalog,
            health,
            claims: Claims(redis),
            invalidation,
            deliveries: Detached::new(MAX_DELIVERIES),
        }))
    }

    /// Takes one delivery. A sender that goes away stops nothing.
    ///
    /// # Errors
    /// Whatever keeps the event from taking effect, now or for ever.
    pub(crate) async fn receive(
        self: &Arc<Self>,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Delivery, Problem> {
        let webhook = Arc::clone(self);
        let delivery = async move { counted(webhook.deliver(&headers, &body).await) };
        let too_many = || Problem::new(Code::Overloaded, "Too many events are being applied.");
        let delivered = self.deliveries.run(delivery).await;
        delivered.unwrap_or_else(|| counted(Err(too_many().retry_after(RETRY))))
    }

    /// Waits for the deliveries under way. Call it when no more can come.
    pub(crate) async fn close(&self) {
        self.deliveries.close().await;
    }

    fn read(&self, headers: &HeaderMap, body: &[u8]) -> Result<Event, Problem> {
        if !self.keys.can_verify() {
            let detail = "The service has no key that events could be verified with.";
            return Err(Problem::new(Code::NotConfigured, detail));
        }
        require_json(headers, "application/json")?;
        let now = Utc::now();
        self.keys
            .verify(headers, body, now, self.tolerance)
            .map_err(|unverified| Problem::new(Code::InvalidSignature, unverified.to_string()))?;
        let times = Times { now, retention: self.retention, tolerance: self.tolerance };
        event::parse(headers, body, times).map_err(|params| Problem::naming(Code::InvalidEvent, params))
    }

    async fn deliver(&self, headers: &HeaderMap, body: &[u8]) -> Result<Delivery, Problem> {
        let event = self.read(headers, body)?;
        let status = self.apply_once(&event).await?;
        Ok(Delivery { event_id: event.id, status })
    }

    /// Applies an event that has not been applied, and says what became of it.
    async fn apply_once(&self, event: &Event) -> Result<&'static str, Problem> {
        match self.claims.claim(event).await {
            Claim::Ours => {}
            Claim::Done => return Ok("duplicate"),
            Claim::Conflict => return Err(conflict()),
            Claim::InFlight => {
                let detail = "Another delivery of this event is being applied.";
                return Err(Problem::new(Code::EventInFlight, detail).retry_after(RETRY));
            }
        }
        let applied = self.apply(event).await;
        match &applied {
            Ok(_) => self.claims.settle(event).await,
            Err(_) => self.claims.release(event).await,
        }
        applied
    }

    async fn apply(&self, event: &Event) -> Result<&'static str, Problem> {
        self.health.require_database()?;
        let (outcome, status) = match self.catalog.apply(event).await? {
            Receipt::New(outcome) => (outcome, outcome.label()),
            Receipt::Duplicate(outcome) => (outcome, "duplicate"),
            Receipt::Conflict => return Err(conflict()),
        };
        // For a duplicate too: after the commit of the delivery before, the invalidation may have failed.
        if outcome == Outcome::Applied && !self.invalidation.of_products(vec![event.product]).await {
            // After a 200 the sender would not deliver it again.
            let detail = "The event has taken effect, but answers from before it may still be cached.";
            return Err(Problem::new(Code::InvalidationFailed, detail).retry_after(RETRY));
        }
        Ok(status)
    }
}

fn counted(delivered: Result<Delivery, Problem>) -> Result<Delivery, Problem> {
    let outcome = match &delivered {
        Ok(delivery) => delivery.status,
        Err(problem) => problem.code().documentation().name,
    };
    counter!(EVENTS, "outcome" => outcome).increment(1);
    delivered
}

fn conflict() -> Problem {
    Problem::new(Code::EventConflict, "Another event with this id has taken effect.")
}

/// Says what the metrics mean, and shows counters from the start: a rate cannot see the first of what it has not seen at
/// zero.
fn describe_metrics() {
    for outcome in OUTCOMES.split(' ') {
        counter!(EVENTS, "outcome" => outcome).increment(0);
    }
    describe_counter!(
        EVENTS,
        "Deliveries by outcome: applied; superseded by a newer event; deferred, a price without a product; \
         duplicate; or the code of the problem"
    );
    describe_gauge!("farmlokal_webhook_registered", "1 once API B has taken our callback");
}
