//! What goes wrong with OpenSearch and its indices.

use std::time::{Duration, Instant};

use farmlokal_catalog::{Change, SearchText};
use farmlokal_search::{EngineError, SearchConfig, SearchError, SearchStatus};
use farmlokal_testing::{Mode, Proxy, TestDatabase, TestIndices};
use serde_json::json;
use tokio::time::sleep;

use super::{Process, TICK, noted, until_indices};
use crate::fixture::{PATIENT, insert, run, settings, upsert};

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_gone_is_a_clear_error_and_has_all_changes_afterwards() {
    let Some(indices) = TestIndices::create() else { return };
    let database = TestDatabase::create().await;
    let mut proxy = Proxy::start(&indices).await;
    let process = Process::ready(&database, &indices.url_by(&proxy), PATIENT).await;
    proxy.kill().await;
    process.until(SearchStatus::Failed).await;
    for nth in 1..4 {
        let error = process.ask("apple").await.unwrap_err();
        assert!(matches!(error, SearchError::Engine(EngineError::Unavailable(_))), "{error:?}");
        process.apply(nth, upsert("apple", 5)).await;
        proxy.start_again().await;
        assert_eq!(process.until_fresh("apple").await.len() as u64, nth);
        proxy.kill().await;
        process.until(SearchStatus::Failed).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_beyond_the_deadline_for_an_engine_that_is_slow() {
    let Some(indices) = TestIndices::create() else { return };
    let database = TestDatabase::create().await;
    let proxy = Proxy::start(&indices).await;
    let (wait, deadline) = (Duration::ZERO, Duration::from_millis(200));
    let config = SearchConfig { wait, deadline, ..settings() };
    let process = Process::start_with(&database, config, &indices.url_by(&proxy));
    process.until(SearchStatus::Ready).await;
    proxy.set(Mode::Delay(2 * deadline));
    let error = process.ask("apple").await.unwrap_err();
    assert!(matches!(error, SearchError::Engine(EngineError::Deadline)), "{error:?}");
    proxy.set(Mode::Hold("HTTP/1.1"));
    let error = process.ask("apple").await.unwrap_err();
    assert!(matches!(error, SearchError::Engine(EngineError::Deadline)), "{error:?}");
    process.until(SearchStatus::Failed).await;
    proxy.set(Mode::Pass);
    assert_eq!(process.until_fresh("apple").await, [0; 0]);
}

/// As OpenSearch makes its indices where the disk is full.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_takes_no_writes_answers_as_stale_and_has_all_changes_afterwards() {
    let Some(indices) = TestIndices::create() else { return };
    let database = TestDatabase::create().await;
    insert(&database, [(1, "apple".to_owned(), 5)]).await;
    let process = Process::ready(&database, &indices.url(), 5 * TICK).await;
    let block = |is_full: Option<bool>| json!({"index.blocks.read_only_allow_delete": is_full});
    indices.set(block(Some(true))).await;
    process.apply(2, upsert("apple", 5)).await;
    for _ in 0..3 {
        assert_eq!(process.ask("apple").await.unwrap(), (vec![1], true));
    }
    // A page without the product that is gone.
    process.apply(1, Change::Delete).await;
    assert_eq!(process.ask("apple").await.unwrap(), (vec![], true));
    assert!(process.suggest(&SearchText::new("app").unwrap(), 5).await.unwrap().1);
    indices.set(block(None)).await;
    assert_eq!(process.until_fresh("apple").await, [2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_do_not_wait_each_for_an_index_that_stays_behind() {
    let Some(indices) = TestIndices::create() else { return };
    let database = TestDatabase::create().await;
    let wait = Duration::from_secs(1);
    let process = Process::ready(&database, &indices.url(), wait).await;
    indices.set(json!({"index.blocks.read_only_allow_delete": true})).await;
    process.apply(1, upsert("apple", 5)).await;
    let started = Instant::now();
    for _ in 0..30 {
        assert_eq!(process.ask("apple").await.unwrap(), (vec![], true));
    }
    assert!(started.elapsed() < 15 * wait, "{:?}", started.elapsed());
}

/// Changes are told of for a day.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_long_absence_an_index_is_rebuilt_if_there_were_changes() {
    let Some(indices) = TestIndices::create() else { return };
    let database = TestDatabase::create().await;
    let mut process = Process::ready(&database, &indices.url(), PATIENT).await;
    let index = noted(&database).await;
    process.tasks.shutdown().await;
    let absent = async || {
        run(&database, "UPDATE search_index SET noted_at = noted_at - INTERVAL 13 HOUR").await;
        run(&database, "DELETE FROM product_versions").await;
    };
    absent().await;
    let mut process = Process::ready(&database, &indices.url(), PATIENT).await;
    sleep(20 * TICK).await;
    assert_eq!(noted(&database).await, index, "there were no changes");
    process.tasks.shutdown().await;
    process.apply(1, upsert("apple", 5)).await;
    absent().await;
    let process = Process::ready(&database, &indices.url(), PATIENT).await;
    assert_eq!(process.fresh("apple").await, [1]);
    assert_ne!(noted(&database).await, index);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_of_an_older_program_is_replaced_and_one_of_a_newer_left_alone() {
    let Some(indices) = TestIndices::create() else { return };
    let database = TestDatabase::create().await;
    insert(&database, [(1, "apple".to_owned(), 5)]).await;
    let name = |version| format!("{}-v{version}-english-1", indices.prefix);
    let note = async |name: &str| {
        let note = "REPLACE INTO search_index VALUES (1, ?, '{}', UTC_TIMESTAMP())";
        sqlx::query(note).bind(name).execute(&database.pool()).await.unwrap();
    };
    for version in [0, 99] {
        let aliases = json!({"aliases": {format!("{}.writes", name(version)): {}}});
        indices.call(hyper::Method::PUT, &format!("/{}", name(version)), &aliases).await;
    }
    note(&name(99)).await;
    let mut process = Process::start(&database, &indices.url(), Duration::ZERO);
    sleep(20 * TICK).await;
    let error = process.ask("apple").await.unwrap_err();
    assert!(matches!(error, SearchError::Engine(EngineError::NotBuilt)), "{error:?}");
    assert_eq!((indices.names().await.len(), process.status()), (2, SearchStatus::Building));
    process.tasks.shutdown().await;

    note(&name(0)).await;
    let process = Process::ready(&database, &indices.url(), PATIENT).await;
    assert_eq!(process.fresh("apple").await, [1]);
    // Another language makes other stems.
    let config = SearchConfig { language: "none".parse().unwrap(), ..settings() };
    drop(process);
    let mut process = Process::start_with(&database, config.clone(), &indices.url());
    while noted(&database).await.is_none_or(|name| !name.contains("-none-")) {
        sleep(TICK).await;
    }
    assert_eq!(process.until_fresh("apple").await, [1]);
    let other = Process::ready(&database, &indices.url(), Duration::ZERO).await;
    assert_eq!(other.ask("apple").await.unwrap(), (vec![1], true));
    drop(other);
    process.tasks.shutdown().await;
    let _process = Process::start_with(&database, config, &indices.url());
    until_indices(&indices, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_somebody_deleted_is_built_again_and_others_are_left_alone() {
    let Some(indices) = TestIndices::create() else { return };
    let database = TestDatabase::create().await;
    let process = Process::ready(&database, &indices.url(), PATIENT).await;
    let others = [format!("{}-v1-english-1-archive", indices.prefix), format!("{}-vienna", indices.prefix)];
    for other in &others {
        indices.call(hyper::Method::PUT, &format!("/{other}"), &json!({})).await;
    }
    for changes in [true, false, true] {
        let name = noted(&database).await.unwrap();
        indices.call(hyper::Method::DELETE, &format!("/{name}"), &json!({})).await;
        if changes {
            process.apply(1, upsert("apple", 5)).await;
        }
        while noted(&database).await.unwrap() == name {
            sleep(TICK).await;
        }
        let name = noted(&database).await.unwrap();
        assert_eq!(process.until_fresh("apple").await, [1]);
        sleep(20 * TICK).await;
        assert_eq!(noted(&database).await.unwrap(), name, "once");
    }
    let names = indices.names().await;
    assert!(others.iter().all(|other| names.contains(other)), "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_is_rebuilt_for_an_older_backup() {
    let Some(indices) = TestIndices::create() else { return };
    let database = TestDatabase::create().await;
    let process = Process::ready(&database, &indices.url(), PATIENT).await;
    for nth in 1..4 {
        process.apply(nth, upsert("apple", 5)).await;
    }
    assert_eq!(process.fresh("apple").await, [1, 2, 3]);
    run(&database, "DELETE FROM products WHERE id = 3").await;
    run(&database, "UPDATE change_counters SET changes = changes - 1 WHERE changes > 0").await;
    assert_eq!(process.fresh("apple").await, [1, 2]);
}

/// Nothing in the database says that the index has later states of its products.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_is_rebuilt_for_an_older_backup_that_names_it() {
    let Some(indices) = TestIndices::create() else { return };
    let database = TestDatabase::create().await;
    let mut process = Process::ready(&database, &indices.url(), PATIENT).await;
    for cents in 1..6 {
        process.apply(1, upsert("apple", cents)).await;
    }
    assert_eq!(process.fresh("apple").await, [1]);
    process.tasks.shutdown().await;
    run(&database, "DELETE FROM product_versions").await;
    run(&database, "UPDATE change_counters SET changes = 0").await;
    let counters =
        "UPDATE search_index SET counters = (SELECT JSON_OBJECTAGG(slot, changes) FROM change_counters)";
    run(&database, counters).await;
    let process = Process::ready(&database, &indices.url(), PATIENT).await;
    assert_eq!(process.fresh("apple").await, [1], "the same index");
    process.apply(1, upsert("quince", 5)).await;
    assert_eq!((process.fresh("quince").await, process.fresh("apple").await), (vec![1], vec![]));
}

/// Nobody told of it, so that no rebuild comes of itself; the row is not shown.
#[tokio::test(flavor = "multi_thread")]
async fn a_product_that_somebody_deleted_by_sql_is_missing_and_the_answer_stale() {
    let Some(indices) = TestIndices::create() else { return };
    let database = TestDatabase::create().await;
    insert(&database, [(1, "apple".to_owned(), 5), (2, "apple".to_owned(), 5)]).await;
    let process = Process::ready(&database, &indices.url(), PATIENT).await;
    run(&database, "DELETE FROM products WHERE id = 1").await;
    assert_eq!(process.ask("apple").await.unwrap(), (vec![2], true));
    process.catalog.announce_replacement().await.unwrap();
    assert_eq!(process.fresh("apple").await, [2]);
}
