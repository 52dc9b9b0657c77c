//! Killed at any point and run again, it ends with exactly what an undisturbed run leaves.

use std::time::Duration;

use farmlokal_devstack::Database;
use farmlokal_testing::TestDatabase;
use sqlx::MySqlPool;

use crate::running::{
    catalogue, catalogue_in, job, job_on, kill_after, kill_at, others_gone, run, started_until, undisturbed,
};

/// Kills in one chain: each run after the first resumes what the one before left.
const CHAIN: u32 = 8;
const CHAINS: u32 = 4;

/// The last phase boundary that a run which finds the new products in place does not pass.
const SWAPPED: [&str; 2] = ["phase done", "swap"];

#[tokio::test]
async fn killed_at_random_points() {
    let (expected, took) = undisturbed().await;
    let mut killed = 0;
    for chain in 0..CHAINS {
        let database = TestDatabase::create().await;
        for kill in 0..CHAIN {
            // Spread over the whole run, and never the same twice: early kills in one chain, late ones in the next.
            let share = (chain * CHAIN + kill * 7 + 1) % (CHAINS * CHAIN);
            let delay = *took * share / (CHAINS * CHAIN);
            killed += u32::from(kill_after(&mut job(&database), delay));
        }
        run(&mut job(&database)).expect_success();
        assert_eq!(&catalogue(&database).await, expected, "chain {chain}");
    }
    assert!(killed > CHAINS, "only {killed} of {} runs were still alive when killed", CHAINS * CHAIN);
}

#[tokio::test]
async fn killed_at_every_phase_boundary() {
    let (expected, _) = undisturbed().await;
    let mut database = TestDatabase::create().await;
    let boundaries = [
        ["phase started", "loading"],
        ["phase done", "loading"],
        ["phase started", "indexes"],
        ["phase done", "indexes"],
        ["phase started", "swap"],
        ["phase done", "swap"],
        ["phase started", "flush"],
        ["phase done", "flush"],
    ];
    let swap_done = boundaries.iter().position(|boundary| *boundary == SWAPPED).unwrap();
    for (number, boundary) in boundaries.into_iter().enumerate() {
        // The server may be at the last statement of a killed run, and what the next one has to do depends on it.
        others_gone(&database).await;
        let before = catalogue(&database).await;
        let swapped = before.rows > 0;
        let finished = swapped && !before.tables.iter().any(|table| table == "products_replaced");
        if finished {
            // The run before was at its last steps, and quicker than the kill.
            assert_eq!(&before, expected);
        }
        if finished || (swapped && number <= swap_done) {
            database = TestDatabase::create().await;
        }
        kill_at(&mut job(&database), boundary);
    }
    run(&mut job(&database)).expect_success();
    assert_eq!(&catalogue(&database).await, expected);
}

#[tokio::test]
async fn killed_while_another_run_waits() {
    let (expected, took) = undisturbed().await;
    let database = TestDatabase::create().await;
    // It holds the lock by now.
    let mut first = started_until(&mut job(&database), ["phase started", "loading"]);
    let mut second = job(&database);
    let second = std::thread::scope(|scope| {
        let second = scope.spawn(|| run(&mut second));
        std::thread::sleep(*took / 4);
        first.kill().unwrap();
        first.wait().unwrap();
        second.join().unwrap()
    });
    second.expect_success();
    assert!(!second.stdout.contains("already seeded"), "it went on where the killed one stopped");
    assert_eq!(&catalogue(&database).await, expected);
}

/// The database crashes under the run, which ends with an error; the next one goes on where the database does.
#[tokio::test]
async fn the_server_killed_in_every_phase() {
    let (expected, _) = undisturbed().await;
    let mut server = Database::start().unwrap();
    farmlokal_catalog::migrate(server.url().parse().unwrap()).await.unwrap();
    // What follows the swap takes a few milliseconds: the last kill meets any of it.
    for phase in ["loading", "indexes", "swap"] {
        let mut child = started_until(&mut job_on(&server.url()), ["phase started", phase]);
        std::thread::sleep(Duration::from_millis(20));
        server.kill9().unwrap();
        // The run may have ended before.
        assert!([Some(0), Some(1)].contains(&child.wait().unwrap().code()));
        server.start_again().unwrap();
    }
    run(&mut job_on(&server.url())).expect_success();
    let seeded = catalogue_in(MySqlPool::connect(&server.url()).await.unwrap()).await;
    assert_eq!((seeded.rows, seeded.checksums), (expected.rows, expected.checksums));
    assert_eq!((seeded.indexes, seeded.tables), (expected.indexes.clone(), expected.tables.clone()));
}

/// A migration between a kill and the next run: rows staged for the old columns cannot be used.
#[tokio::test]
async fn killed_then_migrated() {
    let database = TestDatabase::create().await;
    kill_at(&mut job(&database), ["phase done", "loading"]);
    let pool = database.pool();
    sqlx::raw_sql("ALTER TABLE products ADD COLUMN stock INT NOT NULL DEFAULT 7")
        .execute(&pool)
        .await
        .unwrap();
    run(&mut job(&database)).expect_success();
    let stock: i64 =
        sqlx::query_scalar("SELECT SUM(stock = 7) DIV 1 FROM products").fetch_one(&pool).await.unwrap();
    assert_eq!(stock, 30_000);
    pool.close().await;
}

#[tokio::test]
async fn terminated() {
    let (expected, _) = undisturbed().await;
    let database = TestDatabase::create().await;
    let mut child = job(&database).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(400));
    let id = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(143));
    run(&mut job(&database)).expect_success();
    assert_eq!(&catalogue(&database).await, expected);
}
