//! Events: exactly one effect, whatever fails and whoever else is at it.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use farmlokal_catalog::{
    Catalog, CatalogConfig, Change, Draft, Error, Event, MAX_PRODUCT_ID, Outcome, Price, Pruned, Receipt,
};
use farmlokal_testing::{TestDatabase, catalog_config, kill_other_connections, other_connections};

fn price(cents: u64) -> Price {
    Price::from_cents(cents).unwrap()
}

fn event(id: impl Into<String>, product: u64, age: i64, change: Change) -> Event {
    let occurred_at = Utc::now() - TimeDelta::seconds(age);
    Event { id: id.into(), product, occurred_at, change, payload_hash: [7; 32] }
}

fn upsert(name: &str, cents: u64) -> Change {
    let (name, category) = (name.to_owned(), "sports".to_owned());
    Change::Upsert(Draft { name, description: "For 2 of you".into(), category, price: price(cents) })
}

fn catalog(database: &TestDatabase) -> Catalog {
    database.catalog(&catalog_config())
}

async fn count(database: &TestDatabase, table: &str) -> i64 {
    let statement = sqlx::AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
    sqlx::query_scalar(statement).fetch_one(&database.pool()).await.unwrap()
}

#[tokio::test]
async fn each_change_is_stored_and_found() {
    let database = TestDatabase::create().await;
    let catalog = catalog(&database);
    let applied = Receipt::New(Outcome::Applied);
    assert_eq!(catalog.apply(&event("a", 7, 30, upsert("Racket XL", 950))).await.unwrap(), applied);
    let product = catalog.product(7).await.unwrap().unwrap();
    assert_eq!(
        (product.name.as_str(), product.category.as_str(), product.price),
        ("Racket XL", "sports", price(950))
    );
    assert_eq!(catalog.apply(&event("b", 7, 20, Change::PriceChange(price(5)))).await.unwrap(), applied);
    assert_eq!(catalog.product(7).await.unwrap().unwrap().price, price(5));
    // The same price again is an effect too.
    assert_eq!(catalog.apply(&event("c", 7, 15, Change::PriceChange(price(5)))).await.unwrap(), applied);
    assert_eq!(catalog.apply(&event("d", 7, 10, Change::Delete)).await.unwrap(), applied);
    assert_eq!(catalog.product(7).await.unwrap(), None);
    let deferred = Receipt::New(Outcome::Deferred);
    assert_eq!(catalog.apply(&event("e", 7, 5, Change::PriceChange(price(5)))).await.unwrap(), deferred);
    assert_eq!(catalog.apply(&event("f", MAX_PRODUCT_ID, 5, upsert("Last", 1))).await.unwrap(), applied);
    // The table can still number rows of its own.
    let insert = "INSERT INTO products (id, name, description, category, price) VALUES (8, '', '', '', 1)";
    sqlx::query(insert).execute(&database.pool()).await.unwrap();
}

#[tokio::test]
async fn a_second_delivery_says_what_the_first_did_and_does_nothing() {
    let database = TestDatabase::create().await;
    let catalog = catalog(&database);
    let first = event("a", 7, 30, upsert("Racket", 950));
    catalog.apply(&event("b", 7, 20, upsert("Newer", 1))).await.unwrap();
    assert_eq!(catalog.apply(&first).await.unwrap(), Receipt::New(Outcome::Superseded));
    assert_eq!(catalog.apply(&first).await.unwrap(), Receipt::Duplicate(Outcome::Superseded));
    // Newer, of another product, and all of it taken back.
    let other = Event { payload_hash: [8; 32], ..event("a", 8, 1, upsert("Other", 1)) };
    assert_eq!(catalog.apply(&other).await.unwrap(), Receipt::Conflict);
    assert_eq!(catalog.product(8).await.unwrap(), None);
    assert_eq!(
        (count(&database, "webhook_events").await, count(&database, "product_versions").await),
        (2, 1)
    );
}

#[tokio::test]
async fn what_changes_a_product_is_counted_and_nothing_else() {
    let database = TestDatabase::create().await;
    let catalog = catalog(&database);
    let mut counted = Vec::new();
    for event in [
        event("a", 7, 30, upsert("Racket", 950)),
        event("a", 7, 30, upsert("Racket", 950)),
        event("late", 7, 40, upsert("Older", 1)),
        event("b", 7, 20, Change::PriceChange(price(5))),
        event("c", 7, 10, Change::Delete),
        event("deferred", 7, 5, Change::PriceChange(price(6))),
    ] {
        catalog.apply(&event).await.unwrap();
        counted.push(catalog.change_position().await.unwrap().sum());
    }
    assert_eq!(counted, [1, 1, 1, 2, 3, 3]);
    catalog.announce_replacement().await.unwrap();
    assert_eq!(catalog.change_position().await.unwrap().sum(), 4);
}

/// Many writers of few products and few ids, so that they meet wherever they can.
#[tokio::test(flavor = "multi_thread")]
async fn writers_that_meet_all_get_through() {
    let database = TestDatabase::create().await;
    let catalog = catalog(&database);
    let writers: Vec<_> = (0..16_u64)
        .map(|writer| {
            let catalog = catalog.clone();
            tokio::spawn(async move {
                let mut new = 0;
                for round in 0..40_u64 {
                    let number = (writer / 2) * 40 + round;
                    let change = match number % 5 {
                        0 => Change::Delete,
                        1 | 2 => Change::PriceChange(price(number)),
                        _ => upsert("Racket", number),
                    };
                    let age = 1_000 - i64::try_from(number).unwrap();
                    let event = event(format!("e{number}"), 1 + number % 3, age, change);
                    new += usize::from(matches!(catalog.apply(&event).await.unwrap(), Receipt::New(_)));
                }
                new
            })
        })
        .collect();
    let mut new = 0;
    for writer in writers {
        new += writer.await.unwrap();
    }
    assert_eq!((new, count(&database, "webhook_events").await), (320, 320));
}

#[tokio::test]
async fn connections_that_broke_cost_no_event() {
    let database = TestDatabase::create().await;
    let catalog = catalog(&database);
    let warm: Vec<_> = (0..8)
        .map(|number| {
            let catalog = catalog.clone();
            tokio::spawn(
                async move { catalog.apply(&event(format!("w{number}"), 7, 60, Change::Delete)).await },
            )
        })
        .collect();
    for call in warm {
        call.await.unwrap().unwrap();
    }
    let mut own = database.pool().acquire().await.unwrap();
    assert!(other_connections(&mut own).await.len() > 1);
    kill_other_connections(&mut own).await;
    for number in 0..8 {
        let event = event(format!("e{number}"), 7, 50 - number, upsert("Racket", 1));
        assert_eq!(catalog.apply(&event).await.unwrap(), Receipt::New(Outcome::Applied));
    }
}

#[tokio::test]
async fn a_row_that_stays_locked_is_a_deadline_and_no_effect() {
    let database = TestDatabase::create().await;
    let short = Duration::from_millis(300);
    let config = CatalogConfig { write_deadline: short, ..catalog_config() };
    let hurried = database.catalog(&config);
    catalog(&database).apply(&event("a", 7, 30, upsert("Racket", 1))).await.unwrap();
    let pool = database.pool();
    let mut held = pool.begin().await.unwrap();
    sqlx::query("SELECT 1 FROM product_versions FOR UPDATE").fetch_all(&mut *held).await.unwrap();
    let late = event("b", 7, 20, upsert("Late", 1));
    let error = hurried.apply(&late).await.unwrap_err();
    assert!(matches!(error, Error::Deadline), "{error:?}");
    held.rollback().await.unwrap();
    assert_eq!(catalog(&database).apply(&late).await.unwrap(), Receipt::New(Outcome::Applied));
}

#[tokio::test]
async fn what_is_old_is_pruned_by_index_and_in_batches() {
    let database = TestDatabase::create().await;
    let catalog = catalog(&database);
    let pool = database.pool();
    for number in 0..30_u64 {
        catalog.apply(&event(format!("e{number}"), 1 + number, 60, Change::Delete)).await.unwrap();
    }
    for statement in [
        "UPDATE webhook_events SET received_at = received_at - INTERVAL 3 DAY WHERE product_id <= 20",
        "UPDATE product_versions SET newest_at = newest_at - INTERVAL 3 DAY WHERE product_id <= 10",
        // A search index may not have seen its change.
        "UPDATE product_versions SET newest_at = newest_at - INTERVAL 2870 MINUTE WHERE product_id = 11",
    ] {
        sqlx::query(statement).execute(&pool).await.unwrap();
    }
    // And a day longer.
    let day = Duration::from_hours(24);
    assert_eq!(catalog.prune(day, 15).await.unwrap(), Pruned { events: 15, versions: 10, keys: 0 });
    let (one, other) = tokio::join!(catalog.prune(day, 15), catalog.prune(day, 15));
    assert_eq!(one.unwrap().events + other.unwrap().events, 5);
    assert_eq!(
        (count(&database, "webhook_events").await, count(&database, "product_versions").await),
        (10, 20)
    );

    // Few rows are read whole, whatever indexes there are.
    for round in 0..7 {
        for statement in [
            format!(
                "INSERT INTO webhook_events (event_id, payload_hash, event_type, product_id, occurred_at, outcome) \
                 SELECT CONCAT(event_id, '-{round}'), payload_hash, event_type, product_id, occurred_at, outcome \
                 FROM webhook_events"
            ),
            format!(
                "INSERT INTO product_versions (product_id, newest_at) \
                 SELECT product_id + {}, newest_at FROM product_versions",
                100 << round
            ),
        ] {
            sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&pool).await.unwrap();
        }
    }
    sqlx::query("ANALYZE TABLE webhook_events, product_versions").fetch_all(&pool).await.unwrap();
    for (table, column) in [("webhook_events", "received_at"), ("product_versions", "newest_at")] {
        let explain = format!(
            "EXPLAIN FORMAT=TRADITIONAL DELETE FROM {table} WHERE {column} < ? ORDER BY {column} LIMIT 15"
        );
        let old: DateTime<Utc> = Utc::now() - TimeDelta::days(2);
        let row = sqlx::query(sqlx::AssertSqlSafe(explain)).bind(old).fetch_one(&pool).await.unwrap();
        let key: String = sqlx::Row::get(&row, "key");
        assert_eq!(key, format!("by_{column}"));
    }
}
