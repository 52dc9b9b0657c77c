//! Migrations, and a database that fails.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::time::Duration;

use farmlokal_catalog::{
    Catalog, CatalogConfig, Error, ListQuery, MigrateError, Refusal, migrate,
    testing::{PriceRanges, TestDatabase, kill_other_connections, other_connections},
};
use farmlokal_devstack::Database;

/// How many there are.
const MIGRATIONS: usize = 6;

#[tokio::test]
async fn eight_migrations_at_once_apply_each_once() {
    let database = TestDatabase::create_empty().await;
    let runs: Vec<_> = (0..8).map(|_| tokio::spawn(migrate(database.options.clone()))).collect();
    let mut applied = 0;
    for run in runs {
        applied += run.await.unwrap().unwrap().len();
    }
    assert_eq!(applied, MIGRATIONS);
    Catalog::new(database.config()).unwrap().ping().await.unwrap();
}

#[tokio::test]
async fn a_migration_killed_half_way_is_taken_up_again() {
    let database = TestDatabase::create().await;
    // Before, and after, its statement ran.
    for undo in ["DROP TABLE products, webhook_events", "SELECT 1"] {
        let pool = database.pool();
        sqlx::query("UPDATE _sqlx_migrations SET success = FALSE").execute(&pool).await.unwrap();
        sqlx::query(undo).execute(&pool).await.unwrap();
        assert_eq!(migrate(database.options.clone()).await.unwrap().len(), MIGRATIONS);
        Catalog::new(database.config()).unwrap().ping().await.unwrap();
    }
    assert!(migrate(database.options.clone()).await.unwrap().is_empty());
}

/// As of a version before price bands.
#[tokio::test]
async fn products_that_were_there_before_price_bands_get_theirs() {
    let database = TestDatabase::create().await;
    let pool = database.pool();
    for statement in [
        "INSERT INTO products (name, description, category, price) VALUES ('a', '', 'x', 0), ('b', '', 'x', 9.99)",
        "ALTER TABLE products DROP KEY by_band, DROP KEY by_band_name, DROP KEY by_band_created_at, \
         DROP KEY by_category_band, DROP KEY by_category_band_name, DROP KEY by_category_band_created_at",
        "ALTER TABLE products DROP CONSTRAINT price_band_is_of_price, DROP COLUMN price_band",
        "DELETE FROM _sqlx_migrations WHERE version > 4",
    ] {
        sqlx::raw_sql(statement).execute(&pool).await.unwrap();
    }
    // Killed after the first of the two, before it could note that.
    migrate(database.options.clone()).await.unwrap();
    sqlx::raw_sql("UPDATE _sqlx_migrations SET success = FALSE WHERE version = 5")
        .execute(&pool)
        .await
        .unwrap();
    sqlx::raw_sql("DELETE FROM _sqlx_migrations WHERE version = 6").execute(&pool).await.unwrap();
    assert_eq!(migrate(database.options.clone()).await.unwrap().len(), 2);
    let bands: Vec<u16> =
        sqlx::query_scalar("SELECT price_band FROM products ORDER BY id").fetch_all(&pool).await.unwrap();
    assert_eq!(bands, [0, 316]);
}

#[tokio::test]
async fn a_missing_database_is_created() {
    let database = TestDatabase::create_empty().await;
    let name = database.options.get_database().unwrap().to_owned();
    sqlx::query(sqlx::AssertSqlSafe(format!("DROP DATABASE {name}")))
        .execute(&database.pool())
        .await
        .unwrap();
    assert_eq!(migrate(database.options.clone()).await.unwrap().len(), MIGRATIONS);
}

#[tokio::test]
async fn a_newer_database_is_left_alone() {
    let database = TestDatabase::create().await;
    sqlx::query("INSERT INTO _sqlx_migrations VALUES (999, 'later', NOW(), TRUE, '', 0)")
        .execute(&database.pool())
        .await
        .unwrap();
    let error = migrate(database.options.clone()).await.unwrap_err();
    assert!(matches!(error, MigrateError::Newer { database: 999, known: 6 }), "{error}");
}

#[tokio::test]
async fn a_database_without_tables_is_not_taken_for_a_broken_one() {
    let database = TestDatabase::create_empty().await;
    let error = Catalog::new(database.config()).unwrap().ping().await.unwrap_err();
    assert!(matches!(error, Error::SchemaMissing), "{error:?}");
}

#[tokio::test]
async fn no_database_is_unavailable_and_says_nothing_of_it() {
    let database = TestDatabase::create_empty().await;
    let mut config = database.config();
    config.connect = config.connect.host("127.0.0.1").port(1);
    config.acquire_timeout = Duration::from_millis(300);
    let catalog = Catalog::new(config).unwrap();
    for error in [catalog.ping().await.unwrap_err(), catalog.list(&ListQuery::default()).await.unwrap_err()] {
        assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
        assert!(!error.to_string().contains("127.0.0.1"));
    }
}

#[tokio::test]
async fn reads_go_on_when_every_connection_was_killed() {
    let database = TestDatabase::create().await;
    let catalog = Catalog::new(database.config()).unwrap();
    let query = ListQuery::default();
    let range = ListQuery::parse([("minPrice".into(), "1".into())].into_iter()).unwrap();
    let calls: Vec<_> = (0..32)
        .map(|_| {
            let (catalog, query) = (catalog.clone(), query.clone());
            tokio::spawn(async move { catalog.list(&query).await })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert!(catalog.pool().open > 1);
    let mut own = database.pool().acquire().await.unwrap();
    assert!(other_connections(&mut own).await.len() > 1);
    kill_other_connections(&mut own).await;
    let by_bands = catalog.clone().answering(PriceRanges::Bands);
    for _ in 0..32 {
        by_bands.list(&range).await.unwrap();
        catalog.list(&query).await.unwrap();
    }
}

#[tokio::test]
async fn the_database_stops_a_statement_at_its_deadline() {
    let database = TestDatabase::create().await;
    let pool = database.pool();
    let mut held = pool.begin().await.unwrap();
    // A lock makes any read of the table wait: a plain SELECT gives way only to its deadline.
    sqlx::query("SELECT 1").execute(&mut *held).await.unwrap();
    sqlx::raw_sql("LOCK TABLES products WRITE").execute(&mut *held).await.unwrap();
    let mut config = database.config();
    config.list_deadline = Duration::from_millis(100);
    let error = Catalog::new(config).unwrap().list(&ListQuery::default()).await.unwrap_err();
    sqlx::raw_sql("UNLOCK TABLES").execute(&mut *held).await.unwrap();
    assert!(matches!(error, Error::Deadline), "{error:?}");
}

#[tokio::test]
async fn a_search_has_a_deadline_of_its_own() {
    let database = TestDatabase::create().await;
    let mut held = database.pool().begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLES products WRITE").execute(&mut *held).await.unwrap();
    let mut config = database.config();
    config.list_deadline = Duration::from_secs(60);
    config.search.deadline = Duration::from_millis(100);
    let query = ListQuery::parse([("search".into(), "ball".into())].into_iter()).unwrap();
    let error = Catalog::new(config).unwrap().list(&query).await.unwrap_err();
    sqlx::raw_sql("UNLOCK TABLES").execute(&mut *held).await.unwrap();
    assert!(matches!(error, Error::SearchRefused { reason: Refusal::Deadline, .. }), "{error:?}");
}

#[tokio::test]
async fn sessions_have_their_deadline_and_plan_by_indexes_alone() {
    let database = TestDatabase::create().await;
    let mut config = database.config();
    config.list_deadline = Duration::from_millis(1500);
    let catalog = Catalog::new(config).unwrap();
    let version: String = sqlx::query_scalar("SELECT VERSION()").fetch_one(&database.pool()).await.unwrap();
    let expected = if version.contains("MariaDB") {
        &[
            ("max_statement_time", "1.500000"),
            ("optimizer_use_condition_selectivity", "1"),
            ("use_stat_tables", "NEVER"),
            ("idle_transaction_timeout", "5"),
        ][..]
    } else {
        &[("max_execution_time", "1500"), ("wait_timeout", "60")][..]
    };
    for (name, value) in expected {
        assert_eq!(catalog.session_variable(name).await.unwrap(), *value, "{name}");
    }
}

/// A server that stands still keeps no deadline of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_stands_still_is_given_up_and_holds_no_connection() {
    let patience = Duration::from_secs(60);
    let database = Database::start().unwrap();
    migrate(database.url().parse().unwrap()).await.unwrap();
    let mut config = CatalogConfig::new(&database.url()).unwrap();
    config.list_deadline = Duration::from_millis(100);
    let catalog = Catalog::new(config).unwrap();
    let query = ListQuery::default();
    catalog.list(&query).await.unwrap();
    // sqlx pings a connection that comes back, for as long as it takes: not what is tested here.
    tokio::time::timeout(patience, async {
        while catalog.pool().in_use > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("the connection comes back");

    database.pause().unwrap();
    let given_up = tokio::time::timeout(patience, catalog.list(&query)).await;
    assert!(matches!(given_up, Ok(Err(Error::Unavailable(_)))), "{given_up:?}");
    tokio::time::timeout(patience, async {
        while catalog.pool().open > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("a connection that is of no more use is closed");
    database.resume().unwrap();
    catalog.list(&query).await.unwrap();
}

#[tokio::test]
async fn a_full_pool_is_busy() {
    let database = TestDatabase::create().await;
    let pool = database.pool();
    let mut held = pool.acquire().await.unwrap();
    sqlx::raw_sql("LOCK TABLES products WRITE").execute(&mut *held).await.unwrap();
    let mut config = database.config();
    config.max_connections = 1;
    config.queue_timeout = Duration::from_millis(100);
    config.list_deadline = Duration::from_secs(2);
    let catalog = Catalog::new(config).unwrap();
    let waiting = tokio::spawn({
        let catalog = catalog.clone();
        async move { catalog.list(&ListQuery::default()).await }
    });
    while catalog.pool().in_use == 0 {
        tokio::task::yield_now().await;
    }
    let error = catalog.list(&ListQuery::default()).await.unwrap_err();
    // The server is there, and says so.
    catalog.ping().await.unwrap();
    sqlx::raw_sql("UNLOCK TABLES").execute(&mut *held).await.unwrap();
    assert!(matches!(error, Error::Busy), "{error:?}");
    waiting.await.unwrap().unwrap();
}
