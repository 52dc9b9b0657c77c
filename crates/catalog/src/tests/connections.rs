//! What the connections of readers are like, and what becomes of those that break.

use std::time::Duration;

use farmlokal_testing::{TestDatabase, kill_other_connections, other_connections};

use super::catalog_of;
use crate::{Catalog, CatalogConfig, ChangePosition, ListQuery};

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
    let mut config = CatalogConfig::with(database.options.clone());
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
