//! Events about products, each a function of the plan and its number alone.

use chrono::{DateTime, Utc};
use rand::RngExt as _;
use serde::Serialize;

use super::Plan;

const CATEGORIES: [&str; 6] = ["vegetables", "fruit", "dairy", "bakery", "garden", "sports"];

/// What is sent in the body of a webhook.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// The same as in the header `webhook-id`.
    pub event_id: String,
    /// What happened.
    #[serde(flatten)]
    pub change: Change,
    /// When: a millisecond after the event before.
    pub occurred_at: DateTime<Utc>,
}

/// What happened to a product.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", content = "data")]
pub enum Change {
    /// It is as follows, new or not.
    #[serde(rename = "product.upserted")]
    Upserted(Product),
    /// It costs this now.
    #[serde(rename = "product.price_changed")]
    PriceChanged {
        /// Which product.
        id: u64,
        /// With two decimals at the most.
        price: f64,
    },
    /// It is gone.
    #[serde(rename = "product.deleted")]
    Deleted {
        /// Which product.
        id: u64,
    },
}

/// All of a product.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Product {
    /// [`Plan::first_product`] or one of those after it.
    pub id: u64,
    /// With the event's number: it tells which upsert was the last.
    pub name: String,
    /// Some words.
    pub description: String,
    /// One of a few that the seeded products have too.
    pub category: String,
    /// With two decimals at the most.
    pub price: f64,
}

impl Change {
    /// The product that it is about.
    #[must_use]
    pub fn product(&self) -> u64 {
        match self {
            Change::Upserted(product) => product.id,
            Change::PriceChanged { id, .. } | Change::Deleted { id } => *id,
        }
    }
}

impl Plan {
    /// The plan's events in the order they occurred.
    pub fn events(&self) -> impl Iterator<Item = Event> + '_ {
        (0..self.count).map(|number| self.event(number))
    }

    /// The event of this number. The first ones make each product, unless the plan has no upserts.
    pub(super) fn event(&self, number: u32) -> Event {
        let mut rng = self.rng(number.into());
        let is_first = number < self.products && self.upserts > 0;
        let offset = if is_first { number } else { rng.random_range(0..self.products) };
        let id = self.first_product + u64::from(offset);
        let price = decimal(rng.random_range(1..=99_999));
        let kind = rng.random_range(0..self.upserts + self.price_changes + self.deletes);
        let change = if is_first || kind < self.upserts {
            Change::Upserted(Product {
                id,
                name: format!("Sandbox product, event {number}"),
                description: format!("Product {id} as event {number} of seed {} left it.", self.seed),
                category: CATEGORIES[rng.random_range(0..CATEGORIES.len())].to_owned(),
                price,
            })
        } else if kind < self.upserts + self.price_changes {
            Change::PriceChanged { id, price }
        } else {
            Change::Deleted { id }
        };
        let occurred_at = self.occurred_from + chrono::TimeDelta::milliseconds(number.into());
        // No two runs begin in one millisecond.
        let run = self.occurred_from.timestamp_millis();
        Event { event_id: format!("evt_{run:x}_{:x}_{number:06}", self.seed), change, occurred_at }
    }
}

/// Two decimals of so small a number survive as a float.
fn decimal(cents: u32) -> f64 {
    f64::from(cents) / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        let occurred_from = "2026-11-22T10:00:00Z".parse().unwrap();
        Plan { count: 500, products: 20, occurred_from, ..Plan::default() }
    }

    #[test]
    fn events_depend_on_the_plan_alone_and_have_ids_of_their_own() {
        let events: Vec<_> = plan().events().collect();
        assert_eq!(events, plan().events().collect::<Vec<_>>());
        let mut ids: Vec<_> = events.iter().map(|event| &event.event_id).collect();
        ids.dedup();
        assert_eq!(ids.len(), 500);
        assert!(events.is_sorted_by(|a, b| a.occurred_at < b.occurred_at && a.event_id < b.event_id));
        let other = Plan { seed: 2, ..plan() };
        assert!(other.events().zip(&events).all(|(other, event)| other.event_id != event.event_id));
        let later = Plan { occurred_from: Utc::now(), ..plan() };
        assert!(later.events().zip(&events).all(|(later, event)| later.event_id != event.event_id));
    }

    #[test]
    fn the_envelope_is_as_documented() {
        let events: Vec<_> = plan().events().collect();
        let find = |kind: &str| {
            let mut jsons = events.iter().map(|event| serde_json::to_value(event).unwrap());
            jsons.find(|json| json["type"] == kind).unwrap()
        };
        let upserted = find("product.upserted");
        let members: Vec<_> = upserted.as_object().unwrap().keys().collect();
        assert_eq!(members.len(), 4, "{members:?}");
        assert_eq!(upserted["eventId"], events[0].event_id.as_str());
        assert_eq!(upserted["occurredAt"], "2026-11-22T10:00:00Z");
        let data = upserted["data"].as_object().unwrap();
        assert!(
            ["id", "name", "description", "category", "price"].iter().all(|name| data.contains_key(*name))
        );
        assert_eq!(data.len(), 5);
        assert_eq!(find("product.price_changed")["data"].as_object().unwrap().len(), 2);
        assert_eq!(find("product.deleted")["data"].as_object().unwrap().len(), 1);
    }

    #[test]
    fn a_price_has_two_decimals_at_the_most() {
        let change =
            |cents| serde_json::to_value(Change::PriceChanged { id: 1, price: decimal(cents) }).unwrap();
        for (cents, text) in
            [(1, "0.01"), (1_999, "19.99"), (1_250, "12.5"), (99_999, "999.99"), (5_739, "57.39")]
        {
            assert_eq!(change(cents)["data"]["price"].to_string(), text);
        }
    }
}
