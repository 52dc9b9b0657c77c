//! Migrations, and a database that fails.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::time::Duration;

use farmlokal_catalog::{Catalog, CatalogConfig, Error, ListQuery, MAX_PRODUCT_ID, MigrateError, migrate};
use farmlokal_devstack::Database;
use farmlokal_testing::{TestDatabase, catalog_config, connection_that_runs};

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
    database.catalog(&catalog_config()).ping().await.unwrap();
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
        database.catalog(&catalog_config()).ping().await.unwrap();
    }
    assert!(migrate(database.options.clone()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_newer_database_is_left_alone() {
    let database = TestDatabase::create().await;
    sqlx::query("INSERT INTO _sqlx_migrations VALUES (999, 'later', NOW(), TRUE, '', 0)")
        .execute(&database.pool())
        .await
        .unwrap();
    let error = migrate(database.options.clone()).await.unwrap_err();
    assert!(matches!(error, MigrateError::Newer { database: 999, newest: 6 }), "{error}");
}

#[tokio::test]
async fn a_database_without_tables_is_not_taken_for_a_broken_one() {
    let database = TestDatabase::create_empty().await;
    let error = database.catalog(&catalog_config()).ping().await.unwrap_err();
    assert!(matches!(error, Error::SchemaMissing), "{error:?}");
}

#[tokio::test]
async fn no_database_is_unavailable_and_says_nothing_of_it() {
    let database = TestDatabase::create_empty().await;
    let mut config = catalog_config();
    config.acquire_timeout = Duration::from_millis(300);
    let nowhere = database.options.clone().host("127.0.0.1").port(1);
    let catalog = Catalog::new(nowhere, &config).unwrap();
    for error in [catalog.ping().await.unwrap_err(), catalog.list(&ListQuery::default()).await.unwrap_err()] {
        assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
        assert!(!error.to_string().contains("127.0.0.1"));
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
    let mut config = catalog_config();
    config.list_deadline = Duration::from_millis(100);
    let error = database.catalog(&config).list(&ListQuery::default()).await.unwrap_err();
    sqlx::raw_sql("UNLOCK TABLES").execute(&mut *held).await.unwrap();
    assert!(matches!(error, Error::Deadline), "{error:?}");
}

/// A server that stands still keeps no deadline of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_stands_still_is_given_up_and_holds_no_connection() {
    let patience = Duration::from_secs(60);
    let database = Database::start().unwrap();
    migrate(database.url().parse().unwrap()).await.unwrap();
    let mut config = catalog_config();
    config.list_deadline = Duration::from_millis(100);
    let catalog = Catalog::new(database.url().parse().unwrap(), &config).unwrap();
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
    assert!(matches!(given_up, Ok(Err(Error::Deadline))), "{given_up:?}");
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
    let mut config = catalog_config();
    config.max_connections = 1;
    config.queue_timeout = Duration::from_millis(100);
    config.list_deadline = Duration::from_secs(2);
    let catalog = database.catalog(&config);
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

/// Its name may be a typing error.
#[tokio::test]
async fn a_missing_database_is_named_and_not_created() {
    let database = TestDatabase::create_empty().await;
    let missing = database.options.clone().database("test_that_nobody_created");
    for _ in 0..2 {
        let error = migrate(missing.clone()).await.unwrap_err();
        assert!(
            matches!(&error, MigrateError::MissingDatabase(name) if name == "test_that_nobody_created"),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn every_table_has_its_row_format() {
    let database = TestDatabase::create().await;
    let options: Vec<(String, String)> = sqlx::query_as(
        "SELECT CAST(table_name AS CHAR), CAST(create_options AS CHAR) FROM information_schema.tables \
         WHERE table_schema = DATABASE() AND table_name <> '_sqlx_migrations'",
    )
    .fetch_all(&database.pool())
    .await
    .unwrap();
    assert_eq!(options.len(), MIGRATIONS);
    for (table, options) in options {
        assert!(options.to_lowercase().contains("row_format=dynamic"), "{table}: {options}");
    }
}

/// As an operator stops one, and as some versions report a deadline.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_is_stopped_has_run_out_of_time() {
    let database = TestDatabase::create().await;
    let pool = database.pool();
    let mut held = pool.acquire().await.unwrap();
    sqlx::raw_sql("LOCK TABLES products WRITE").execute(&mut *held).await.unwrap();
    let config = CatalogConfig { list_deadline: Duration::from_secs(20), ..catalog_config() };
    let catalog = database.catalog(&config);
    let list = tokio::spawn(async move { catalog.list(&ListQuery::default()).await });
    let id = loop {
        match connection_that_runs(&mut held, "SELECT id").await {
            Some(id) => break id,
            None => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("KILL QUERY {id}"))).execute(&mut *held).await.unwrap();
    let error = list.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Deadline), "{error:?}");
}

/// An event writes the version of its product in its transaction.
#[tokio::test]
async fn an_id_that_is_not_exact_in_json_is_not_stored() {
    let database = TestDatabase::create().await;
    for (id, is_stored) in [(MAX_PRODUCT_ID, true), (MAX_PRODUCT_ID + 1, false)] {
        let insert = sqlx::query("INSERT INTO product_versions (product_id, newest_at) VALUES (?, NOW())");
        assert_eq!(insert.bind(id).execute(&database.pool()).await.is_ok(), is_stored, "{id}");
    }
}
