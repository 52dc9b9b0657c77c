//! Writes: all of a batch or nothing, once, and as new as their commit.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod batches;
mod beside_events;
mod concurrency;
mod idempotency;
mod kills;
mod proxy;

use farmlokal_catalog::{
    Action, Batch, Catalog, Done, Draft, Event, Idempotency, Operation, Precondition, Price, Product, Written,
};
use farmlokal_testing::{TestDatabase, catalog_config};

fn price(cents: u64) -> Price {
    Price::from_cents(cents).unwrap()
}

fn draft(name: &str, cents: u64) -> Draft {
    let (name, category) = (name.to_owned(), "sports".to_owned());
    Draft { name, description: "For 2 of you".to_owned(), category, price: price(cents) }
}

fn batch(actions: impl IntoIterator<Item = Action>) -> Batch {
    let operations = actions.into_iter().map(|action| Operation { action, precondition: None });
    Batch { operations: operations.collect(), idempotency: None }
}

fn only_if(action: Action, precondition: Precondition) -> Batch {
    Batch { operations: vec![Operation { action, precondition: Some(precondition) }], idempotency: None }
}

fn with_key(key: u8, request: u8, actions: impl IntoIterator<Item = Action>) -> Batch {
    let idempotency = Some(Idempotency { key_hash: [key; 32], request_hash: [request; 32] });
    Batch { idempotency, ..batch(actions) }
}

fn catalog(database: &TestDatabase) -> Catalog {
    database.catalog(&catalog_config())
}

async fn done(catalog: &Catalog, batch: &Batch) -> Vec<Done> {
    match catalog.write(batch).await.unwrap() {
        Written::New(done) => done,
        other => panic!("{other:?}"),
    }
}

/// What one operation has stored.
async fn stored(catalog: &Catalog, action: Action) -> Product {
    match done(catalog, &batch([action])).await.pop() {
        Some(Done::Created(product) | Done::Replaced(product) | Done::Patched(product)) => product,
        other => panic!("{other:?}"),
    }
}

async fn count(database: &TestDatabase, table: &str) -> i64 {
    let statement = sqlx::AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
    sqlx::query_scalar(statement).fetch_one(&database.pool()).await.unwrap()
}

fn event(id: impl Into<String>, product: u64, change: farmlokal_catalog::Change) -> Event {
    Event { id: id.into(), product, occurred_at: chrono::Utc::now(), change, payload_hash: [7; 32] }
}
