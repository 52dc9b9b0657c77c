//! Replicas, and changes as partners make them.

use std::{
    ops::Deref,
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use farmlokal_catalog::{
    Catalog, CatalogConfig, Change, Draft, Event, ListQuery, Outcome, Page, Price, Product, Receipt,
};
use farmlokal_search::{EngineError, Found, Language, Search, SearchConfig, SearchError, SearchStatus};
use farmlokal_testing::{TestDatabase, catalog_config, query};
use sqlx::mysql::MySqlConnectOptions;
use tokio::task::JoinSet;

use crate::faulty_engine::FaultyEngine;

/// Long enough for a busy machine: a search that is not answered fails the test.
pub(crate) const PATIENT: Duration = Duration::from_secs(30);
/// Longer than any test: nothing is seen by chance.
pub(crate) const NEVER: Duration = Duration::from_hours(1);

pub(crate) fn settings() -> SearchConfig {
    SearchConfig {
        url: None,
        tls_ca: None,
        wait: PATIENT,
        memory: 256 << 20,
        threads: 2,
        queue: 64,
        deadline: PATIENT,
        language: Language::ENGLISH,
        synonyms: None,
        ready_timeout: PATIENT,
        poll: NEVER,
    }
}

/// A replica: connections and an index of its own.
pub(crate) struct Replica {
    pub(crate) search: Search<FaultyEngine>,
    pub(crate) engine: FaultyEngine,
    pub(crate) catalog: Catalog,
    pub(crate) tasks: JoinSet<()>,
}

impl Deref for Replica {
    type Target = Search<FaultyEngine>;

    fn deref(&self) -> &Search<FaultyEngine> {
        &self.search
    }
}

impl Replica {
    /// One that is not spawned yet.
    pub(crate) fn new(database: MySqlConnectOptions, poll: Duration) -> Replica {
        Replica::with_deadline(database, poll, PATIENT)
    }

    pub(crate) fn with_deadline(
        database: MySqlConnectOptions,
        poll: Duration,
        deadline: Duration,
    ) -> Replica {
        let config = CatalogConfig { write_deadline: PATIENT, ..catalog_config() };
        let catalog = Catalog::new(database, &config).unwrap();
        let settings = SearchConfig { deadline, poll, ..settings() };
        let engine = FaultyEngine::new(&settings);
        let search = Search::with_engine(catalog.clone(), engine.clone(), &settings);
        Replica { search, engine, catalog, tasks: JoinSet::new() }
    }

    /// One that follows.
    pub(crate) fn spawned(database: &TestDatabase, poll: Duration) -> Replica {
        let mut replica = Replica::new(database.options.clone(), poll);
        replica.search.spawn(&mut replica.tasks);
        replica
    }

    /// One that answers.
    pub(crate) async fn ready(database: &TestDatabase, poll: Duration) -> Replica {
        let replica = Replica::spawned(database, poll);
        replica.until(SearchStatus::Ready).await;
        replica
    }

    /// Comes back when the status is this.
    pub(crate) async fn until(&self, wanted: SearchStatus) {
        while self.status() != wanted {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// An answer. Where the catalogue was replaced, it waits for the new index.
    pub(crate) async fn answer(&self, query: &ListQuery) -> (Page, Found) {
        loop {
            match self.search.list(query).await {
                Err(SearchError::Engine(EngineError::NotBuilt)) => self.until(SearchStatus::Ready).await,
                answer => return answer.unwrap(),
            }
        }
    }

    pub(crate) async fn found(&self, pairs: &[(&str, &str)]) -> Vec<Product> {
        self.answer(&query(pairs)).await.0.products
    }

    pub(crate) async fn apply(&self, product: u64, change: Change) {
        apply(&self.catalog, product, change).await;
    }
}

pub(crate) async fn apply(catalog: &Catalog, product: u64, change: Change) {
    let event = event(product, change);
    let receipt = catalog.apply(&event).await.unwrap();
    assert!(matches!(receipt, Receipt::New(Outcome::Applied)), "{receipt:?} {event:?}");
}

/// Each is newer than all before.
pub(crate) fn event(product: u64, change: Change) -> Event {
    static NUMBER: AtomicI64 = AtomicI64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let occurred_at: DateTime<Utc> =
        DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::seconds(number);
    Event { id: format!("event {number}"), product, occurred_at, change, payload_hash: [7; 32] }
}

pub(crate) fn price(cents: u64) -> Price {
    Price::from_cents(cents).unwrap()
}

pub(crate) fn upsert(name: &str, cents: u64) -> Change {
    let (name, category) = (name.to_owned(), "fruit".to_owned());
    Change::Upsert(Draft { name, description: "From nearby".to_owned(), category, price: price(cents) })
}

/// Stores products before anybody follows, or as one who tells nobody.
pub(crate) async fn insert(database: &TestDatabase, products: impl IntoIterator<Item = (u64, String, u64)>) {
    let mut insert = sqlx::QueryBuilder::<sqlx::MySql>::new(
        "INSERT INTO products (id, name, description, category, price) ",
    );
    insert.push_values(products, |mut values, (id, name, cents)| {
        values.push_bind(id).push_bind(name).push_bind("").push_bind("fruit").push_bind(price(cents));
    });
    insert.build().execute(&database.pool()).await.unwrap();
}

pub(crate) async fn run(database: &TestDatabase, statement: &'static str) {
    sqlx::query(statement).execute(&database.pool()).await.unwrap();
}
