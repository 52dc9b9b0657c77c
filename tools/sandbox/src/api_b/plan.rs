//! What is to be sent, and how.

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// A run of webhooks. Which events there are, their duplicates, their order and the pauses between attempts follow from
/// the plan alone; when an answer comes and which sender is free do not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Plan {
    /// How many events: 1 to 100,000.
    pub count: u32,
    /// Deliveries begun in a second; 0 for as many as the senders manage.
    pub rate: u32,
    /// Requests in flight at the most: 1 to 256. One sender keeps the order.
    pub senders: u32,
    /// Copies of an event beside itself, on average: 0 to 10. They follow within a few events.
    pub duplicates: f64,
    /// An event may come so many events late; 0 keeps the order.
    pub reorder: u32,
    /// Everything random follows from it.
    pub seed: u64,
    /// When the first event occurred: so long ago that the last one has just occurred when the run begins, which sets it.
    #[serde(skip_deserializing)]
    pub occurred_from: DateTime<Utc>,
    /// The lowest id of a product, at least 1. The default is beyond all that can be seeded.
    pub first_product: u64,
    /// How many products the events are about: 1 to 1,000,000.
    pub products: u32,
    /// Share of upserts, beside the next two: 0 to 1,000.
    pub upserts: u32,
    /// Share of price changes.
    pub price_changes: u32,
    /// Share of deletes.
    pub deletes: u32,
    /// An attempt without an answer after so many milliseconds has failed.
    pub timeout_ms: u64,
    /// The pause before the second attempt in milliseconds; it doubles, with jitter, and a longer `Retry-After` counts.
    pub backoff_ms: u64,
    /// No pause is longer, `Retry-After` included.
    pub max_backoff_ms: u64,
    /// A delivery that fails so often is given up.
    pub max_attempts: u32,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan {
            count: 100,
            rate: 50,
            senders: 4,
            duplicates: 0.2,
            reorder: 8,
            seed: 1,
            occurred_from: DateTime::UNIX_EPOCH,
            first_product: 10_000_001,
            products: 20,
            upserts: 6,
            price_changes: 3,
            deletes: 1,
            timeout_ms: 5_000,
            backoff_ms: 100,
            max_backoff_ms: 5_000,
            max_attempts: 100,
        }
    }
}

impl Plan {
    /// Checks what a run depends on, and sets the time. The error names the member that is out of range.
    pub(super) fn begun(mut self) -> Result<Plan, String> {
        let ranges = [
            ("count", self.count.into(), 1..=100_000),
            ("senders", self.senders.into(), 1..=256),
            ("reorder", self.reorder.into(), 0..=self.count.into()),
            ("firstProduct", self.first_product, 1..=1 << 52),
            ("products", self.products.into(), 1..=1_000_000),
            ("upserts", self.upserts.into(), 0..=1_000),
            ("priceChanges", self.price_changes.into(), 0..=1_000),
            (
                "deletes",
                self.deletes.into(),
                u64::from(self.upserts.saturating_add(self.price_changes) == 0)..=1_000,
            ),
        ];
        let wrong = ranges.iter().find(|(_, value, range)| !range.contains(value));
        let wrong =
            wrong.map(|(name, _, range)| format!("{name}: must be {} to {}", range.start(), range.end()));
        if let Some(wrong) = wrong {
            return Err(wrong);
        } else if !(0.0..=10.0).contains(&self.duplicates) {
            return Err("duplicates: must be 0 to 10".to_owned());
        }
        self.occurred_from = Utc::now().trunc_subsecs(3) - TimeDelta::milliseconds(self.count.into());
        Ok(self)
    }

    /// Random numbers of one event, or of the whole for `u64::MAX`.
    pub(super) fn rng(&self, stream: u64) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(stream);
        rng
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_range_is_named() {
        let refused = |plan: Plan| plan.begun().unwrap_err();
        assert!(refused(Plan { count: 0, ..Plan::default() }).starts_with("count: "));
        assert!(refused(Plan { duplicates: f64::NAN, ..Plan::default() }).starts_with("duplicates: "));
        assert!(refused(Plan { senders: 257, ..Plan::default() }).starts_with("senders: "));
        let nothing = Plan { upserts: 0, price_changes: 0, deletes: 0, ..Plan::default() };
        assert!(refused(nothing).starts_with("deletes: "));
    }

    #[test]
    fn by_default_the_last_event_has_just_occurred() {
        let plan = Plan::default().begun().unwrap();
        let last = plan.events().last().unwrap().occurred_at;
        assert!(last <= Utc::now() && last > Utc::now() - TimeDelta::minutes(1));
    }
}
