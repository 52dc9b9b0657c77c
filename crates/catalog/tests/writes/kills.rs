//! Connections, and clients, that are killed in the middle.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use farmlokal_catalog::{Action, Batch, Catalog, CatalogConfig, Error, Written};
use farmlokal_testing::{TestDatabase, catalog_config, connection_that_runs, kill_other_connections};
use sqlx::MySqlPool;

use crate::{
    batch, catalog, count, done, draft,
    proxy::{Cut, Proxy},
    with_key,
};

const TOGETHER: u64 = 5;

/// Five products that are always written together, and so are always alike.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_all_or_nothing_whoever_is_killed() {
    let database = TestDatabase::create().await;
    let catalog = database.catalog(&CatalogConfig { write_connections: 3, ..catalog_config() });
    let is_over = AtomicBool::new(false);
    let (cut_off, written, checks) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let write = async |writer: u64| {
        for number in 0..200 {
            let all = batch((1..=TOGETHER).map(|id| match number % 4 {
                0 => Action::Delete(id),
                _ => Action::Put(id, draft("Ball", number * 3 + writer)),
            }));
            // As if the client's process were killed some time. A new connection takes a while to prepare its statements.
            let patience = Duration::from_millis(number * 7 % 40 * 2 + 1);
            match tokio::time::timeout(patience, catalog.write(&all)).await {
                Err(_) => drop(cut_off.fetch_add(1, Ordering::Relaxed)),
                Ok(Ok(Written::New(_))) => drop(written.fetch_add(1, Ordering::Relaxed)),
                Ok(Ok(Written::Refused(_)) | Err(Error::Unavailable(_) | Error::Deadline)) => {}
                Ok(other) => panic!("{other:?}"),
            }
        }
    };
    let writers = async {
        tokio::join!(write(0), write(1), write(2));
        is_over.store(true, Ordering::Relaxed);
    };
    let kill = async {
        let mut own = database.pool().acquire().await.unwrap();
        while !is_over.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(40)).await;
            kill_other_connections(&mut own).await;
        }
    };
    let watch = async {
        let pool = database.pool();
        while !is_over.load(Ordering::Relaxed) {
            // It may be killed as well.
            if let Ok(seen) = alike(&pool).await {
                assert!(seen, "a part of a batch");
                checks.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    tokio::join!(writers, kill, watch);
    assert!(alike(&database.pool()).await.unwrap());
    let happened = [cut_off, written, checks].map(AtomicU64::into_inner);
    assert!(happened.iter().all(|count| *count > 0), "{happened:?}");
}

/// Whether the products that are written together are alike, and were changed at one position. One statement is of one moment.
async fn alike(pool: &MySqlPool) -> Result<bool, sqlx::Error> {
    let (products, prices, versions, positions): (i64, i64, i64, i64) = sqlx::query_as(
        "SELECT COUNT(id), COUNT(DISTINCT products.price), COUNT(*), COUNT(DISTINCT slot, change_number) \
         FROM product_versions LEFT JOIN products ON id = product_id",
    )
    .fetch_one(pool)
    .await?;
    let together = i64::try_from(TOGETHER).unwrap_or_default();
    Ok([(0, 0), (together, 1)].contains(&(products, prices))
        && [(0, 0), (together, 1)].contains(&(versions, positions)))
}

fn create() -> Batch {
    with_key(1, 1, [Action::Create(draft("Ball", 1)), Action::Put(70, draft("Bat", 1))])
}

/// Statements of a batch, each with a lock that stops it.
const STOPS: [(&str, &str); 3] = [
    ("INSERT INTO product_versions", "SELECT 1 FROM product_versions WHERE product_id = 70 FOR UPDATE"),
    ("SELECT id", "SELECT 1 FROM products WHERE id = 70 FOR UPDATE"),
    ("INSERT INTO change_counters", "SELECT 1 FROM change_counters FOR UPDATE"),
];

/// A database in which each stop has something to lock.
async fn with_stops() -> TestDatabase {
    let database = TestDatabase::create().await;
    done(&catalog(&database), &batch([Action::Put(70, draft("Old", 1))])).await;
    for slot in 1..=64 {
        let insert = "INSERT IGNORE INTO change_counters VALUES (?, 0)";
        sqlx::query(insert).bind(slot).execute(&database.pool()).await.unwrap();
    }
    database
}

async fn id_of_stopped(own: &mut sqlx::MySqlConnection, beginning: &str) -> u64 {
    loop {
        if let Some(id) = connection_that_runs(own, beginning).await {
            return id;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_killed_at_a_statement_costs_nothing() {
    for (statement, lock) in STOPS {
        let database = with_stops().await;
        let catalog = catalog(&database);
        let pool = database.pool();
        let mut held = pool.begin().await.unwrap();
        sqlx::query(lock).fetch_all(&mut *held).await.unwrap();
        let call = tokio::spawn(async move { catalog.write(&create()).await });
        let stopped = id_of_stopped(&mut held, statement).await;
        let kill = sqlx::AssertSqlSafe(format!("KILL {stopped}"));
        sqlx::raw_sql(kill).execute(&mut *held).await.unwrap();
        held.rollback().await.unwrap();
        let written = call.await.unwrap().unwrap();
        assert!(matches!(&written, Written::New(done) if done.len() == 2), "{statement}: {written:?}");
        assert_eq!(count(&database, "products").await, 2, "{statement}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_sent_again_after_a_kill_at_a_statement_creates_one_product() {
    for (statement, lock) in STOPS {
        let database = with_stops().await;
        let catalog = catalog(&database);
        let pool = database.pool();
        let mut held = pool.begin().await.unwrap();
        sqlx::query(lock).fetch_all(&mut *held).await.unwrap();
        let killed = tokio::spawn({
            let catalog = catalog.clone();
            async move { catalog.write(&create()).await }
        });
        id_of_stopped(&mut held, statement).await;
        killed.abort();
        assert!(killed.await.unwrap_err().is_cancelled());
        held.rollback().await.unwrap();
        // The server may not have seen yet that the client is gone.
        let again = loop {
            match catalog.write(&create()).await.unwrap() {
                Written::InFlight => tokio::time::sleep(Duration::from_millis(5)).await,
                other => break other,
            }
        };
        assert!(matches!(&again, Written::New(done) if done.len() == 2), "{statement}: {again:?}");
        assert_eq!(count(&database, "products").await, 2, "{statement}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_found_by_its_key_and_never_repeated_without() {
    for (cut, stored) in [(Cut::BeforeCommit, 0), (Cut::AfterCommit, 1)] {
        let database = TestDatabase::create().await;
        let proxy = Proxy::start(&database, cut).await;
        let catalog = Catalog::new(proxy.options(&database), &catalog_config()).unwrap();
        proxy.arm();
        let error = catalog.write(&batch([Action::Create(draft("Ball", 1))])).await.unwrap_err();
        assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
        assert!(!proxy.is_armed());
        assert_eq!(count(&database, "products").await, stored);

        proxy.arm();
        let written = catalog.write(&create()).await.unwrap();
        assert!(!proxy.is_armed());
        match (cut, &written) {
            (Cut::BeforeCommit, Written::New(done)) | (Cut::AfterCommit, Written::Again(done)) => {
                assert_eq!(done.len(), 2);
            }
            _ => panic!("{written:?}"),
        }
        assert_eq!(count(&database, "products").await, stored + 2);
    }
}
