//! Which event wins. Events of one product may come in any order, and end in what their own order would have made.
//!
//! What a product is and what it costs are two registers, each of which keeps the newest event that wrote it. One alone
//! would lose an upsert that comes after a newer price change.

use chrono::{DateTime, Utc};

use super::{Change, Event};
use crate::{Draft, Price};

/// An event's place in the order: its time, and for equal times its id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp {
    pub(super) at: DateTime<Utc>,
    pub(super) event: String,
}

impl Stamp {
    pub(super) fn of(event: &Event) -> Stamp {
        // As the column keeps it: the value that is compared later.
        let at = DateTime::from_timestamp_micros(event.occurred_at.timestamp_micros());
        Stamp { at: at.unwrap_or(event.occurred_at), event: event.id.clone() }
    }
}

/// The newest events behind a product; empty for one that no event has touched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Version {
    /// The newest upsert or delete.
    pub(super) content: Option<Stamp>,
    /// The newest upsert or price change, and its price.
    pub(super) price: Option<(Stamp, Price)>,
}

/// What is to be done to the product's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing: the event comes too late.
    None,
    /// Write what the event says, with this price, which may be a newer one.
    Store(Price),
    /// Change the price, if there is a row.
    SetPrice(Price),
    /// Remove the row.
    Remove,
}

impl Version {
    /// Takes an event in, and says what it does. Where the content is newer, the price may still be older: a write that changed
    /// only texts.
    pub(super) fn take(&mut self, event: &Event) -> Effect {
        let stamp = Stamp::of(event);
        let newer_price = self.price.as_ref().filter(|(of_price, _)| *of_price >= stamp);
        match event.change {
            Change::Upsert(Draft { price, .. }) if !self.has_newer_content(&stamp) => {
                let price = newer_price.map_or(price, |(_, newer)| *newer);
                if newer_price.is_none() {
                    self.price = Some((stamp.clone(), price));
                }
                self.content = Some(stamp);
                Effect::Store(price)
            }
            Change::Upsert(Draft { price, .. }) | Change::PriceChange(price) if newer_price.is_none() => {
                self.price = Some((stamp, price));
                Effect::SetPrice(price)
            }
            Change::Delete if !self.has_newer_content(&stamp) => {
                self.content = Some(stamp);
                Effect::Remove
            }
            _ => Effect::None,
        }
    }

    /// Whether what the product is, or that it is gone, is newer than this.
    pub(super) fn has_newer_content(&self, stamp: &Stamp) -> bool {
        self.content.as_ref().is_some_and(|content| content >= stamp)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A product as far as events write it.
    type Row = Option<(String, Price)>;

    fn price(cents: u64) -> Price {
        Price::from_cents(cents).unwrap()
    }

    fn event(id: usize, second: i64, change: Change) -> Event {
        let occurred_at = DateTime::from_timestamp(second, 0).unwrap();
        Event { id: format!("e{id:02}"), product: 1, occurred_at, change, payload_hash: [0; 32] }
    }

    fn upsert(name: &str, cents: u64) -> Change {
        let text = name.to_owned();
        let price = price(cents);
        Change::Upsert(Draft { name: text.clone(), description: text.clone(), category: text, price })
    }

    /// The events in their own order, each doing what it says.
    fn reference(mut row: Row, events: &[Event]) -> Row {
        let mut events: Vec<_> = events.iter().collect();
        events.sort_by_key(|event| Stamp::of(event));
        for event in events {
            match &event.change {
                Change::Upsert(Draft { name, price, .. }) => row = Some((name.clone(), *price)),
                Change::PriceChange(price) => {
                    if let Some(row) = &mut row {
                        row.1 = *price;
                    }
                }
                Change::Delete => row = None,
            }
        }
        row
    }

    /// The events as they come.
    fn taken(mut row: Row, events: &[Event]) -> Row {
        let mut version = Version::default();
        for event in events {
            match (version.take(event), &event.change) {
                (Effect::None, _) => {}
                (Effect::Store(price), Change::Upsert(Draft { name, .. })) => {
                    row = Some((name.clone(), price));
                }
                (Effect::SetPrice(price), _) => {
                    if let Some(row) = &mut row {
                        row.1 = price;
                    }
                }
                (Effect::Remove, _) => row = None,
                (effect, change) => panic!("{effect:?} for {change:?}"),
            }
        }
        row
    }

    fn changes() -> impl Strategy<Value = Change> {
        prop_oneof![
            (0..100_u64).prop_map(|cents| upsert(&format!("n{cents}"), cents)),
            (100..200_u64).prop_map(|cents| Change::PriceChange(price(cents))),
            Just(Change::Delete),
        ]
    }

    /// Distinct ids, times that tie, any order, some twice.
    fn deliveries() -> impl Strategy<Value = Vec<Event>> {
        prop::collection::vec((0..6_i64, changes()), 0..9)
            .prop_map(|all| {
                let events = all.into_iter().enumerate();
                events.map(|(id, (second, change))| event(id, second, change)).collect::<Vec<_>>()
            })
            .prop_flat_map(|events| {
                let again = prop::sample::subsequence(events.clone(), 0..=events.len());
                again.prop_map(move |again| [&events[..], &again].concat()).prop_shuffle()
            })
    }

    proptest! {
        #[test]
        fn any_order_ends_as_their_own(events in deliveries(), there in any::<bool>()) {
            let row = there.then(|| ("seeded".to_owned(), price(999)));
            let mut once = events.clone();
            once.sort_by(|one, other| one.id.cmp(&other.id));
            once.dedup();
            prop_assert_eq!(taken(row.clone(), &events), reference(row, &once));
        }
    }

    #[test]
    fn a_price_waits_for_an_upsert_that_comes_late() {
        let mut version = Version::default();
        assert_eq!(version.take(&event(2, 2, Change::PriceChange(price(5)))), Effect::SetPrice(price(5)));
        assert_eq!(version.take(&event(1, 1, upsert("a", 9))), Effect::Store(price(5)));
        assert_eq!(version.take(&event(3, 3, upsert("b", 7))), Effect::Store(price(7)));
    }

    #[test]
    fn what_came_before_a_delete_stays_gone() {
        let mut version = Version::default();
        assert_eq!(version.take(&event(3, 3, Change::Delete)), Effect::Remove);
        // There is no row that could cost this.
        assert_eq!(version.take(&event(1, 1, upsert("a", 9))), Effect::SetPrice(price(9)));
        assert_eq!(version.take(&event(2, 2, Change::PriceChange(price(5)))), Effect::SetPrice(price(5)));
        assert!(version.has_newer_content(&Stamp::of(&event(2, 2, Change::Delete))));
    }
}
