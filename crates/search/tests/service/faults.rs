//! What goes wrong: clear errors, and fresh again afterwards.

use std::{sync::Arc, time::Duration};

use farmlokal_catalog::{CatalogConfig, Error};
use farmlokal_devstack::Database;
use farmlokal_search::{EngineError, SearchError, SearchStatus};
use farmlokal_testing::{TestDatabase, query};

use crate::fixture::{NEVER, Replica, insert, run, upsert};

const OFTEN: Duration = Duration::from_millis(20);

/// Comes back when the status is as wanted.
async fn until(replica: &Replica, wanted: impl Fn(&SearchStatus) -> bool) {
    while !wanted(&replica.status()) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn is_ready(status: &SearchStatus) -> bool {
    matches!(status, SearchStatus::Ready { .. })
}

/// How many products have this word.
async fn count(replica: &Replica, word: &str) -> usize {
    replica.found(&[("search", word)]).await.len()
}

#[tokio::test]
async fn before_it_is_built_a_search_says_so() {
    let database = TestDatabase::create().await;
    insert(&database, [(1, "apple".to_owned(), 5)]).await;
    let mut replica = Replica::new(database.config(), NEVER);
    assert_eq!(replica.status(), SearchStatus::Building);
    let error = replica.list(&query(&[("search", "apple")])).await.unwrap_err();
    assert!(matches!(error, SearchError::Engine(EngineError::NotBuilt)), "{error:?}");
    replica.search.clone().spawn(&mut replica.tasks);
    replica.ready().await;
    assert_eq!(replica.status(), SearchStatus::Ready { documents: 1, lag: Duration::ZERO });
    assert_eq!(count(&replica, "apple").await, 1);
}

#[tokio::test]
async fn changes_are_found_without_a_follower() {
    let database = TestDatabase::create().await;
    let mut replica = Replica::ready(&database, OFTEN).await;
    replica.tasks.shutdown().await;
    for nth in 1..20 {
        replica.apply(nth, upsert("apple", 5)).await;
        assert_eq!(count(&replica, "apple").await as u64, nth);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_restarts_is_a_clear_error_and_fresh_again() {
    let mut server = Database::start().unwrap();
    let options: sqlx::mysql::MySqlConnectOptions = server.url().parse().unwrap();
    let mut replica = Replica::new(CatalogConfig::with(options.clone()), OFTEN);
    // There is no catalogue yet.
    replica.search.clone().spawn(&mut replica.tasks);
    until(&replica, |status| matches!(status, SearchStatus::Failed(_))).await;
    farmlokal_catalog::migrate(options).await.unwrap();
    replica.ready().await;

    for nth in 1..4 {
        replica.apply(nth, upsert("apple", 5)).await;
        assert_eq!(count(&replica, "apple").await as u64, nth);
        server.kill9().unwrap();
        let error = replica.list(&query(&[("search", "apple")])).await.unwrap_err();
        assert!(matches!(error, SearchError::Catalog(Error::Unavailable(_))), "{error:?}");
        until(&replica, |status| matches!(status, SearchStatus::Ready { lag, .. } if *lag > Duration::ZERO))
            .await;
        server.start_again().unwrap();
        until(&replica, |status| matches!(status, SearchStatus::Ready { lag: Duration::ZERO, .. })).await;
        assert_eq!(count(&replica, "apple").await as u64, nth);
    }
}

#[tokio::test]
async fn an_older_backup_is_read_anew() {
    let database = TestDatabase::create().await;
    let replica = Replica::ready(&database, NEVER).await;
    for nth in 1..4 {
        replica.apply(nth, upsert("apple", 5)).await;
    }
    assert_eq!(count(&replica, "apple").await, 3);
    run(&database, "DELETE FROM products WHERE id = 3").await;
    run(&database, "UPDATE change_counters SET changes = changes - 1 WHERE changes > 0").await;
    // The first that notices.
    let error = replica.list(&query(&[("search", "apple")])).await.unwrap_err();
    assert!(matches!(error, SearchError::Engine(EngineError::NotBuilt)), "{error:?}");
    assert_eq!(count(&replica, "apple").await, 2);
}

#[tokio::test]
async fn a_replaced_catalogue_is_read_anew_by_whoever_polls() {
    let database = TestDatabase::create().await;
    let replica = Replica::ready(&database, OFTEN).await;
    insert(&database, [(1, "apple".to_owned(), 5)]).await;
    assert_eq!(count(&replica, "apple").await, 0);
    replica.catalog.announce_replacement().await.unwrap();
    assert_eq!(count(&replica, "apple").await, 1);
}

/// The index that was there answers until then.
#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_told_of_is_found_once_it_is_read_anew() {
    let database = TestDatabase::create().await;
    insert(&database, [(1, "pear".to_owned(), 5)]).await;
    let replica = Replica::ready(&database, NEVER).await;
    insert(&database, [(2, "apple".to_owned(), 5)]).await;
    replica.read_anew();
    while count(&replica, "apple").await == 0 {
        assert!(is_ready(&replica.status()));
        assert_eq!(count(&replica, "pear").await, 1);
    }
    // A product that is gone and nobody told of makes the search itself do that.
    run(&database, "DELETE FROM products WHERE id = 1").await;
    assert_eq!(count(&replica, "pear").await, 0);
    assert!(is_ready(&replica.status()));
}

#[tokio::test]
async fn a_catalogue_that_is_too_large_is_refused_until_it_fits() {
    let database = TestDatabase::create().await;
    insert(&database, (1..=3).map(|id| (id, "apple".to_owned(), 5))).await;
    let mut replica = Replica::new(database.config(), OFTEN);
    replica.engine.limit_to(2);
    replica.search.clone().spawn(&mut replica.tasks);
    until(&replica, |status| *status == SearchStatus::TooLarge).await;
    let error = replica.list(&query(&[("search", "apple")])).await.unwrap_err();
    assert!(matches!(error, SearchError::Engine(EngineError::TooLarge { limit: 2 })), "{error:?}");
    run(&database, "DELETE FROM products WHERE id = 1").await;
    replica.read_anew();
    replica.ready().await;
    assert_eq!(count(&replica, "apple").await, 2);
    // It grows while it is followed.
    replica.apply(7, upsert("apple", 5)).await;
    until(&replica, |status| *status == SearchStatus::TooLarge).await;
}

#[tokio::test]
async fn an_index_that_fails_is_built_anew() {
    let database = TestDatabase::create().await;
    let replica = Replica::ready(&database, NEVER).await;
    replica.engine.fail(1);
    replica.apply(1, upsert("apple", 5)).await;
    let error = replica.list(&query(&[("search", "apple")])).await.unwrap_err();
    assert!(matches!(error, SearchError::Engine(EngineError::Failed(_))), "{error:?}");
    assert_eq!(count(&replica, "apple").await, 1);
}

/// A client that goes away takes nothing from the others.
#[tokio::test(flavor = "multi_thread")]
async fn searches_that_are_given_up_leave_a_whole_index() {
    let database = TestDatabase::create().await;
    let replica = Arc::new(Replica::ready(&database, NEVER).await);
    for nth in 1..60 {
        replica.apply(nth, upsert("apple", 5)).await;
        let given_up = Arc::clone(&replica);
        let search = tokio::spawn(async move { count(&given_up, "apple").await });
        tokio::time::sleep(Duration::from_micros(100 * nth)).await;
        search.abort();
        assert_eq!(replica.answer(&query(&[("search", "apple"), ("total", "")])).await.total, Some(nth));
    }
}
