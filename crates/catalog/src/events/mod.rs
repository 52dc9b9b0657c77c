//! Events about products: each takes effect once, in one transaction with the row that says so, and an older one never
//! overwrites a newer one. `docs/webhook.md` explains both.

mod apply;
mod prune;
mod version;

use chrono::{DateTime, Utc};

use crate::{Draft, Price};

pub use prune::Pruned;

/// What happened to a product, as a partner says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Identifies the event: 1 to 128 visible ASCII characters.
    pub id: String,
    /// The product's id: 1 to [`MAX_PRODUCT_ID`](crate::MAX_PRODUCT_ID).
    pub product: u64,
    /// When it happened, which orders the events of one product. Counted in microseconds.
    pub occurred_at: DateTime<Utc>,
    /// What happened.
    pub change: Change,
    /// SHA-256 of the payload: the same id with another one is another event.
    pub payload_hash: [u8; 32],
}

impl Event {
    /// The longest id, in characters.
    pub const MAX_ID: usize = 128;
}

/// A change of one product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The product is as follows, new or not.
    Upsert(Draft),
    /// It costs this now.
    PriceChange(Price),
    /// It is gone.
    Delete,
}

impl Change {
    /// The type of the event, as it is stored.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Change::Upsert(_) => "product.upserted",
            Change::PriceChange(_) => "product.price_changed",
            Change::Delete => "product.deleted",
        }
    }
}

/// What an event did when it took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It changed the product.
    Applied,
    /// Nothing: a newer event was there first.
    Superseded,
    /// A price for a product that is not there: kept for an upsert that comes late.
    Deferred,
}

impl Outcome {
    /// A stable word, as it is stored.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Outcome::Applied => "applied",
            Outcome::Superseded => "superseded",
            Outcome::Deferred => "deferred",
        }
    }

    fn of(label: &str) -> Option<Outcome> {
        let all = [Outcome::Applied, Outcome::Superseded, Outcome::Deferred];
        all.into_iter().find(|outcome| outcome.label() == label)
    }
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// The event has taken effect now.
    New(Outcome),
    /// It had taken effect before.
    Duplicate(Outcome),
    /// Another payload with this id had taken effect before. This one has none.
    Conflict,
}
