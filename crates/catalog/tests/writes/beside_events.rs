//! Writes among events, against a reference that has both in one order.

use chrono::{DateTime, TimeDelta, Utc};
use farmlokal_catalog::{Action, Catalog, Change, Event, Outcome, Patch, Receipt, Refusal, Written};
use farmlokal_testing::TestDatabase;
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use crate::{batch, catalog, draft, price};

#[derive(Clone, Debug)]
enum Step {
    /// An event that occurred so many times 10 s before or after the test.
    Event(i32, Kind),
    Write(Kind),
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Whole(u64),
    Name(u64),
    Price(u64),
    Delete,
}

/// Name and price of the product; `None` while it is not there.
type State = Option<(String, u64)>;

/// Everything that has happened, each with its place in the order. What a product was called and what it cost stays known while it
/// is not there.
#[derive(Default)]
struct Reference(Vec<((DateTime<Utc>, String), Entry)>);

enum Entry {
    /// It is as follows.
    Is(State),
    /// It costs this, if it is there.
    Costs(u64),
    /// It is there and has this name; what it costs was not said.
    Named(String),
}

impl Reference {
    /// What comes of all that has happened, in its order.
    fn state(&mut self) -> State {
        self.0.sort_by(|one, other| one.0.cmp(&other.0));
        let (mut name, mut price, mut is_there) = (String::new(), 0, false);
        for (_, entry) in &self.0 {
            match entry {
                Entry::Is(Some(new)) => ((name, price), is_there) = (new.clone(), true),
                Entry::Is(None) => is_there = false,
                Entry::Costs(new) => price = *new,
                Entry::Named(new) => (name, is_there) = (new.clone(), true),
            }
        }
        is_there.then_some((name, price))
    }

    /// As new as its commit, and newer than everything before.
    fn write(&mut self, entry: Entry) {
        let newest = self.0.iter().map(|((at, _), _)| *at + TimeDelta::microseconds(1)).max();
        let at = newest.map_or_else(Utc::now, |newest| newest.max(Utc::now()));
        self.0.push(((at, "~write".to_owned()), entry));
    }
}

fn name(n: u64) -> String {
    format!("name {n}")
}

fn kinds(is_event: bool) -> impl Strategy<Value = Kind> {
    prop_oneof![
        3 => (0..99_u64).prop_map(Kind::Whole),
        1 => (100..199_u64).prop_map(move |n| if is_event { Kind::Price(n) } else { Kind::Name(n) }),
        2 => (200..299_u64).prop_map(Kind::Price),
        2 => Just(Kind::Delete),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let times = prop_oneof![-3..0_i32, 1..4_i32];
    let step = prop_oneof![
        3 => (times, kinds(true)).prop_map(|(time, kind)| Step::Event(time, kind)),
        2 => kinds(false).prop_map(Step::Write),
    ];
    prop::collection::vec(step, 1..12)
}

async fn state(catalog: &Catalog, product: u64) -> State {
    catalog.product(product).await.unwrap().map(|product| (product.name, product.price.cents()))
}

/// Applies a step to the catalogue and to the reference.
async fn take(
    catalog: &Catalog,
    reference: &mut Reference,
    product: u64,
    id: String,
    start: DateTime<Utc>,
    step: &Step,
) {
    match *step {
        Step::Event(time, kind) => {
            let occurred_at = start + TimeDelta::seconds(i64::from(time) * 10);
            let (change, entry) = match kind {
                Kind::Whole(n) | Kind::Name(n) => {
                    (Change::Upsert(draft(&name(n), n)), Entry::Is(Some((name(n), n))))
                }
                Kind::Price(n) => (Change::PriceChange(price(n)), Entry::Costs(n)),
                Kind::Delete => (Change::Delete, Entry::Is(None)),
            };
            let event = Event { id: id.clone(), product, occurred_at, change, payload_hash: [7; 32] };
            catalog.apply(&event).await.unwrap();
            reference.0.push(((occurred_at, id), entry));
        }
        Step::Write(kind) => {
            let before = reference.state();
            let (action, after) = match (kind, before.clone()) {
                (Kind::Whole(n), _) => {
                    (Action::Put(product, draft(&name(n), n)), Entry::Is(Some((name(n), n))))
                }
                (Kind::Name(n), _) => {
                    let patch = Patch { name: Some(name(n)), ..Patch::default() };
                    (Action::Patch(product, patch), Entry::Named(name(n)))
                }
                (Kind::Price(n), before) => {
                    let patch = Patch { price: Some(price(n)), ..Patch::default() };
                    (Action::Patch(product, patch), Entry::Is(before.map(|(name, _)| (name, n))))
                }
                (Kind::Delete, _) => (Action::Delete(product), Entry::Is(None)),
            };
            let is_found = before.is_some() || matches!(kind, Kind::Whole(_));
            let written = catalog.write(&batch([action])).await.unwrap();
            if is_found {
                assert!(matches!(&written, Written::New(_)), "{written:?}");
                reference.write(after);
            } else {
                assert_eq!(written, Written::Refused(vec![(0, Refusal::NotFound)]));
            }
        }
    }
}

#[test]
fn a_write_is_as_new_as_its_commit() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let database = runtime.block_on(TestDatabase::create());
    let catalog = runtime.block_on(async { catalog(&database) });
    let mut runner = TestRunner::new(Config { cases: 120, failure_persistence: None, ..Config::default() });
    let product = std::cell::Cell::new(0);
    runner
        .run(&steps(), |steps| {
            product.set(product.get() + 1);
            let (product, start) = (product.get(), Utc::now());
            runtime.block_on(async {
                let mut reference = Reference::default();
                for (nth, step) in steps.iter().enumerate() {
                    take(&catalog, &mut reference, product, format!("e{product}-{nth}"), start, step).await;
                    prop_assert_eq!(state(&catalog, product).await, reference.state(), "after step {}", nth);
                }
                Ok(())
            })
        })
        .unwrap();
}

/// Applies an event to product 7 that happened so many seconds from now.
async fn apply(catalog: &Catalog, id: &str, seconds: i64, change: Change) -> Receipt {
    let occurred_at = Utc::now() + TimeDelta::seconds(seconds);
    let event = Event { id: id.to_owned(), product: 7, occurred_at, change, payload_hash: [7; 32] };
    catalog.apply(&event).await.unwrap()
}

#[tokio::test]
async fn a_write_of_texts_leaves_the_price_to_events_that_come_late() {
    let database = TestDatabase::create().await;
    let catalog = catalog(&database);
    let event = async |id, seconds, change| apply(&catalog, id, seconds, change).await;
    let patch = || Patch { name: Some("Patched".to_owned()), ..Patch::default() };
    event("a", -30, Change::Upsert(draft("First", 1))).await;
    catalog.write(&batch([Action::Patch(7, patch())])).await.unwrap();
    assert_eq!(event("b", -20, Change::PriceChange(price(2))).await, Receipt::New(Outcome::Applied));
    assert_eq!(state(&catalog, 7).await, Some(("Patched".to_owned(), 2)));
    assert_eq!(event("c", -10, Change::Upsert(draft("Late", 3))).await, Receipt::New(Outcome::Applied));
    assert_eq!(state(&catalog, 7).await, Some(("Patched".to_owned(), 3)));
    assert_eq!(event("d", -15, Change::PriceChange(price(4))).await, Receipt::New(Outcome::Superseded));
    assert_eq!(event("e", -5, Change::Delete).await, Receipt::New(Outcome::Superseded));
    catalog.write(&batch([Action::Delete(7)])).await.unwrap();
    assert_eq!(event("f", -4, Change::PriceChange(price(5))).await, Receipt::New(Outcome::Superseded));
    assert_eq!(state(&catalog, 7).await, None);
}

#[tokio::test]
async fn an_older_event_does_not_undo_a_write_and_a_newer_one_does() {
    let database = TestDatabase::create().await;
    let catalog = catalog(&database);
    let event = async |id, seconds, change| apply(&catalog, id, seconds, change).await;
    catalog.write(&batch([Action::Put(7, draft("Written", 10))])).await.unwrap();
    for (id, change) in [
        ("a", Change::Upsert(draft("Older", 1))),
        ("b", Change::PriceChange(price(2))),
        ("c", Change::Delete),
    ] {
        event(id, -20, change).await;
        assert_eq!(state(&catalog, 7).await, Some(("Written".to_owned(), 10)));
    }
    catalog.write(&batch([Action::Delete(7)])).await.unwrap();
    event("d", -20, Change::Upsert(draft("Older", 1))).await;
    assert_eq!(state(&catalog, 7).await, None);
    event("e", 20, Change::Upsert(draft("Newer", 3))).await;
    assert_eq!(state(&catalog, 7).await, Some(("Newer".to_owned(), 3)));
}
