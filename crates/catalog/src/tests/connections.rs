//! What the connections of readers are like, and what becomes of those that break.

use std::{future::poll_fn, task::Poll, time::Duration};

use farmlokal_testing::{TestDatabase, kill_other_connections, other_connections};

use super::{catalog_config, catalog_of};
use crate::{Catalog, CatalogConfig, ChangePosition, Error, ListQuery, pool::WAITING_PER_CONNECTION};

#[tokio::test]
async fn reads_go_on_when_every_connection_was_killed() {
    let database = TestDatabase::create().await;
    let catalog = catalog_of(&database);
    let list = ListQuery::default();
    let calls: Vec<_> = (0..32)
        .map(|_| {
            let (catalog, list) = (catalog.clone(), list.clone());
            tokio::spawn(async move { catalog.list(&list).await })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert!(catalog.pool().open > 1);
    tokio::join!(catalog.index_rows(0, 1), catalog.index_rows(0, 1)).0.unwrap();
    let mut own = database.pool().acquire().await.unwrap();
    assert!(other_connections(&mut own).await.len() > 1);
    kill_other_connections(&mut own).await;
    catalog.changes_since(&ChangePosition::default()).await.unwrap();
    for _ in 0..32 {
        catalog.list(&list).await.unwrap();
    }
}

#[tokio::test]
async fn sessions_have_their_deadline_and_plan_by_indexes_alone() {
    let database = TestDatabase::create().await;
    let config = CatalogConfig { list_deadline: Duration::from_millis(1500), ..catalog_config() };
    let catalog = Catalog::new(database.options.clone(), &config).unwrap();
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

/// A catalogue with one connection for reads.
fn with_one_connection(database: &TestDatabase, queue_timeout: Duration) -> Catalog {
    let config = CatalogConfig { max_connections: 1, queue_timeout, ..catalog_config() };
    Catalog::new(database.options.clone(), &config).unwrap()
}

#[tokio::test]
async fn a_call_waits_for_a_connection_and_no_longer_than_it_may() {
    let database = TestDatabase::create().await;
    let catalog = with_one_connection(&database, Duration::from_millis(50));
    let reader = catalog.reader().await.unwrap();
    assert!(matches!(catalog.list(&ListQuery::default()).await, Err(Error::Busy)));
    assert_eq!((catalog.pool().in_use, catalog.pool().waiting), (1, 0));
    let catalog = with_one_connection(&database, Duration::from_secs(60));
    let next = catalog.reader().await.unwrap();
    let query = ListQuery::default();
    let ((), list) = tokio::join!(
        async {
            while catalog.pool().waiting == 0 {
                tokio::task::yield_now().await;
            }
            drop(next);
        },
        catalog.list(&query)
    );
    list.unwrap();
    drop(reader);
}

#[tokio::test]
async fn a_call_that_finds_the_queue_full_is_refused_at_once() {
    let database = TestDatabase::create().await;
    let catalog = with_one_connection(&database, Duration::from_secs(60));
    let _reader = catalog.reader().await.unwrap();
    let mut waiting: Vec<_> = (0..=WAITING_PER_CONNECTION).map(|_| Box::pin(catalog.reader())).collect();
    let refused = poll_fn(|context| {
        let polled = waiting.iter_mut().map(|call| call.as_mut().poll(context).is_ready());
        Poll::Ready(polled.collect::<Vec<_>>())
    });
    let refused = refused.await;
    assert_eq!(refused.iter().position(|is_refused| *is_refused), Some(WAITING_PER_CONNECTION));
    // A call that is cancelled leaves its place to another.
    drop(waiting.remove(0));
    assert_eq!(catalog.pool().waiting as usize, WAITING_PER_CONNECTION - 1);
}
