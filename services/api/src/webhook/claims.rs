//! Claims on events in Redis: being applied, or done. They are the fast path. The inbox in the database is the truth: what
//! Redis forgets costs a transaction that finds the event there.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use farmlokal_catalog::Event;
use farmlokal_redis::Connection;

/// Longer than any delivery takes, or a second one would start beside it; short, because an event whose process was
/// killed waits for it.
const PROCESSING_MS: u64 = 10_000;
/// How long duplicates are answered from Redis alone.
const DONE_MS: u64 = 24 * 3_600_000;

/// The claims in Redis.
pub(super) struct Claims(pub(super) Arc<Connection>);

/// What to do with a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// Apply the event: no other delivery of it is under way.
    Ours,
    /// Another delivery of this id is being applied.
    InFlight,
    /// The event has taken effect.
    Done,
    /// Another event with this id has taken effect.
    Conflict,
}

impl Claims {
    /// Takes the event, unless it is taken. Without Redis everybody may.
    pub(super) async fn claim(&self, event: &Event) -> Claim {
        let mut set = redis::cmd("SET");
        let own = format!("processing:{:032x}", rand::random::<u128>());
        set.arg(key(event)).arg(&own).arg("NX").arg("GET").arg("PX").arg(PROCESSING_MS);
        let held: Option<Option<String>> =
            self.0.run(async move |mut connection| set.query_async(&mut connection).await).await;
        match held.flatten() {
            None => Claim::Ours,
            // A Cluster's client may send it twice.
            Some(held) if held == own => Claim::Ours,
            Some(held) if held == done(event) => Claim::Done,
            Some(held) if held.starts_with("done") => Claim::Conflict,
            Some(_) => Claim::InFlight,
        }
    }

    /// The event has taken effect, and nothing from before it is served any more.
    pub(super) async fn settle(&self, event: &Event) {
        let mut set = redis::cmd("SET");
        set.arg(key(event)).arg(done(event)).arg("PX").arg(DONE_MS);
        self.0.run(async move |mut connection| set.exec_async(&mut connection).await).await;
    }

    /// The event did not take effect, or that is unknown: the next delivery finds out.
    pub(super) async fn release(&self, event: &Event) {
        let mut delete = redis::cmd("DEL");
        delete.arg(key(event));
        self.0.run(async move |mut connection| delete.exec_async(&mut connection).await).await;
    }
}

fn key(event: &Event) -> String {
    format!("farmlokal:webhook:{}", event.id)
}

/// With the hash of the payload: the same id with another payload is found without the database.
fn done(event: &Event) -> String {
    format!("done:{}", STANDARD.encode(event.payload_hash))
}
