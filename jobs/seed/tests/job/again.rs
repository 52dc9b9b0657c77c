//! Running it again, beside another run, or over other products.

use farmlokal_testing::TestDatabase;

use crate::running::{catalogue, job, run, undisturbed};

/// CRC-32 over all columns of 30,000 rows of seed 1, summed and xored: the same on every server and machine.
const SEED_1: (u64, u64) = (64_922_896_004_600, 715_640_422);

#[tokio::test]
async fn the_rows_are_the_same_on_every_server() {
    assert_eq!(undisturbed().await.0.checksums, SEED_1);
}

#[tokio::test]
async fn a_second_run_finds_everything_done() {
    let database = TestDatabase::create().await;
    run(job(&database).arg("--when-empty")).expect_success();
    let first = catalogue(&database).await;
    let second = run(&mut job(&database));
    assert!(second.expect_success().stdout.contains("already seeded"), "{}", second.stdout);
    assert_eq!(catalogue(&database).await, first);
}

#[tokio::test]
async fn two_runs_at_once_seed_once() {
    let database = TestDatabase::create().await;
    let (one, two) = std::thread::scope(|scope| {
        let one = scope.spawn(|| run(&mut job(&database)));
        let two = run(&mut job(&database));
        (one.join().unwrap(), two)
    });
    let already =
        [one, two].iter().filter(|run| run.expect_success().stdout.contains("already seeded")).count();
    assert_eq!(already, 1);
    assert_eq!(catalogue(&database).await, undisturbed().await.0);
}

#[tokio::test]
async fn other_products_are_replaced_only_on_demand() {
    let database = TestDatabase::create().await;
    let pool = database.pool();
    sqlx::raw_sql(
        "INSERT INTO products (name, description, category, price) VALUES ('Own', 'Ours', 'fruit', 1)",
    )
    .execute(&pool)
    .await
    .unwrap();
    run(&mut job(&database)).expect_failure("--replace");
    let own: u64 =
        sqlx::query_scalar("SELECT CAST(COUNT(*) AS UNSIGNED) FROM products").fetch_one(&pool).await.unwrap();
    assert_eq!(own, 1);
    // With both, the careful one counts.
    let empty = run(job(&database).args(["--when-empty", "--replace"]));
    assert!(empty.expect_success().stdout.contains("other products, which stay"), "{}", empty.stdout);
    let own: u64 =
        sqlx::query_scalar("SELECT CAST(COUNT(*) AS UNSIGNED) FROM products").fetch_one(&pool).await.unwrap();
    assert_eq!(own, 1);
    pool.close().await;

    run(job(&database).arg("--replace")).expect_success();
    let seed_1 = catalogue(&database).await;
    assert_eq!(seed_1, undisturbed().await.0);

    run(job(&database).args(["--seed", "2"])).expect_failure("--replace");
    run(job(&database).args(["--seed", "2", "--when-empty"])).expect_success();
    assert_eq!(catalogue(&database).await, seed_1);
    run(job(&database).args(["--seed", "2", "--replace"])).expect_success();
    let seed_2 = catalogue(&database).await;
    assert_eq!((seed_2.rows, &seed_2.indexes), (seed_1.rows, &seed_1.indexes));
    assert_ne!(seed_2.checksums, seed_1.checksums);
}

#[tokio::test]
async fn an_unfinished_catalogue_can_be_replaced() {
    let database = TestDatabase::create().await;
    crate::running::kill_at(job(&database).args(["--seed", "2"]), ["phase done", "swap"]);
    run(&mut job(&database)).expect_failure("--replace");
    run(job(&database).arg("--replace")).expect_success();
    assert_eq!(catalogue(&database).await, undisturbed().await.0);
}

#[tokio::test]
async fn a_staging_table_of_other_products_is_not_continued() {
    let database = TestDatabase::create().await;
    crate::running::kill_at(job(&database).args(["--seed", "2"]), ["phase done", "loading"]);
    run(&mut job(&database)).expect_success();
    assert_eq!(catalogue(&database).await, undisturbed().await.0);
}

#[tokio::test]
async fn an_unmigrated_database_is_named_as_such() {
    let database = TestDatabase::create_empty().await;
    run(&mut job(&database)).expect_failure("run the migrations first");
}
