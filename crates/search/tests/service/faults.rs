//! What goes wrong: clear errors, and fresh again afterwards.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use farmlokal_catalog::Error;
use farmlokal_devstack::Database;
use farmlokal_search::{EngineError, SearchError, SearchStatus};
use farmlokal_testing::{TestDatabase, query};
use tokio::task::JoinSet;

use crate::fixture::{NEVER, Replica, insert, run, upsert};

const OFTEN: Duration = Duration::from_millis(20);

/// How many products have this word.
async fn count(replica: &Replica, word: &str) -> usize {
    replica.found(&[("search", word)]).await.len()
}

#[tokio::test]
async fn before_it_is_built_a_search_says_so() {
    let database = TestDatabase::create().await;
    insert(&database, [(1, "apple".to_owned(), 5)]).await;
    let mut replica = Replica::new(database.options.clone(), NEVER);
    assert_eq!(replica.status(), SearchStatus::Building);
    let error = replica.list(&query(&[("search", "apple")])).await.unwrap_err();
    assert!(matches!(error, SearchError::Engine(EngineError::NotBuilt)), "{error:?}");
    replica.search.clone().spawn(&mut replica.tasks);
    replica.until(SearchStatus::Ready).await;
    assert_eq!((replica.status(), replica.documents()), (SearchStatus::Ready, Some(1)));
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
    let mut replica = Replica::new(options.clone(), OFTEN);
    // There is no catalogue yet.
    replica.search.clone().spawn(&mut replica.tasks);
    replica.until(SearchStatus::Failed).await;
    farmlokal_catalog::migrate(options).await.unwrap();
    replica.until(SearchStatus::Ready).await;

    for nth in 1..4 {
        replica.apply(nth, upsert("apple", 5)).await;
        assert_eq!(count(&replica, "apple").await as u64, nth);
        server.kill9().unwrap();
        let error = replica.list(&query(&[("search", "apple")])).await.unwrap_err();
        assert!(matches!(error, SearchError::Catalog(Error::Unavailable(_))), "{error:?}");
        server.start_again().unwrap();
        assert_eq!(count(&replica, "apple").await as u64, nth);
    }
}

#[tokio::test]
async fn an_index_is_rebuilt_for_an_older_backup() {
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
async fn whoever_polls_rebuilds_for_a_replaced_catalogue() {
    let database = TestDatabase::create().await;
    let replica = Replica::ready(&database, OFTEN).await;
    insert(&database, [(1, "apple".to_owned(), 5)]).await;
    assert_eq!(count(&replica, "apple").await, 0);
    replica.catalog.announce_replacement().await.unwrap();
    assert_eq!(count(&replica, "apple").await, 1);
}

/// The index that was there answers until then.
#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_told_of_is_found_after_a_rebuild() {
    let database = TestDatabase::create().await;
    insert(&database, [(1, "pear".to_owned(), 5)]).await;
    let replica = Replica::ready(&database, NEVER).await;
    insert(&database, [(2, "apple".to_owned(), 5)]).await;
    replica.rebuild();
    while count(&replica, "apple").await == 0 {
        assert_eq!(replica.status(), SearchStatus::Ready);
        assert_eq!(count(&replica, "pear").await, 1);
    }
    // A product that is gone and nobody told of makes the search itself do that.
    run(&database, "DELETE FROM products WHERE id = 1").await;
    assert_eq!(count(&replica, "pear").await, 0);
    assert_eq!(replica.status(), SearchStatus::Ready);
}

#[tokio::test]
async fn a_catalogue_that_is_too_large_is_refused_until_it_fits() {
    let database = TestDatabase::create().await;
    insert(&database, (1..=3).map(|id| (id, "apple".to_owned(), 5))).await;
    let mut replica = Replica::new(database.options.clone(), OFTEN);
    replica.engine.limit_to(2);
    replica.search.clone().spawn(&mut replica.tasks);
    replica.until(SearchStatus::TooLarge).await;
    let error = replica.list(&query(&[("search", "apple")])).await.unwrap_err();
    assert!(matches!(error, SearchError::Engine(EngineError::TooLarge)), "{error:?}");
    run(&database, "DELETE FROM products WHERE id = 1").await;
    replica.rebuild();
    replica.until(SearchStatus::Ready).await;
    assert_eq!(count(&replica, "apple").await, 2);
    // It grows while it is followed.
    replica.apply(7, upsert("apple", 5)).await;
    replica.until(SearchStatus::TooLarge).await;
}

#[tokio::test]
async fn an_index_that_fails_is_rebuilt() {
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
        assert_eq!(replica.answer(&query(&[("search", "apple"), ("total", "")])).await.1.total, Some(nth));
    }
}

/// The end of a build takes as long as all that is not written yet.
#[tokio::test]
async fn a_build_that_ends_holds_no_search_up() {
    let database = TestDatabase::create().await;
    let replica = Replica::ready(&database, NEVER).await;
    let (began, proceed) = replica.engine.stop_next_build();
    replica.rebuild();
    began.notified().await;
    for nth in 1..5 {
        replica.apply(nth, upsert("apple", 5)).await;
        assert_eq!(count(&replica, "apple").await as u64, nth);
    }
    proceed.notify_one();
    // The new index has what changed while it was built.
    while count(&replica, "apple").await == 4 {
        replica.apply(5, upsert("apple", 5)).await;
    }
    assert_eq!(count(&replica, "apple").await, 5);
}

/// What holds the search up goes on: the caller has its answer at the deadline, and the next one a fresh index.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_beyond_the_deadline() {
    let database = TestDatabase::create().await;
    let deadline = Duration::from_millis(200);
    let mut replica = Replica::with_deadline(database.options.clone(), NEVER, deadline);
    replica.search.clone().spawn(&mut replica.tasks);
    replica.until(SearchStatus::Ready).await;
    let search = query(&[("search", "apple")]);
    let is_late = |error: &SearchError| matches!(error, SearchError::Engine(EngineError::Deadline));

    // An engine that does not answer.
    let number = Arc::new(AtomicU64::new(0));
    replica.engine.hold_back_until(&number);
    let error = replica.list(&search).await.unwrap_err();
    assert!(is_late(&error), "{error:?}");
    replica.engine.hold_back_no_more();

    // A database that does not tell what changed. Every search waits for the first one's attempt.
    replica.apply(1, upsert("apple", 5)).await;
    let mut locked = database.pool().acquire().await.unwrap();
    sqlx::raw_sql("LOCK TABLES product_versions WRITE").execute(&mut *locked).await.unwrap();
    let searches = (0..20).map(|_| {
        let (replica, search) = (replica.search.clone(), search.clone());
        async move { replica.list(&search).await.unwrap_err() }
    });
    let searches: JoinSet<_> = searches.collect();
    for error in searches.join_all().await {
        assert!(is_late(&error), "{error:?}");
    }
    sqlx::raw_sql("UNLOCK TABLES").execute(&mut *locked).await.unwrap();
    while !matches!(replica.list(&search).await, Ok((page, _)) if page.products.len() == 1) {}
}
