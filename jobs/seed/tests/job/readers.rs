//! An API that goes on serving while its catalogue is replaced.

use std::sync::atomic::{AtomicBool, Ordering};

use farmlokal_testing::TestDatabase;

use crate::running::{job, run};

/// Statements that force an index fail with error 1176 on a table without it.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_never_meets_a_table_without_its_indexes() {
    let database = TestDatabase::create().await;
    run(job(&database).args(["--rows", "500"])).expect_success();
    let ended = AtomicBool::new(false);
    let (mut reads, mut totals) = (0, std::collections::BTreeSet::new());
    std::thread::scope(|scope| {
        let job = scope.spawn(|| {
            let replaced = run(job(&database).args(["--seed", "2", "--replace"]));
            ended.store(true, Ordering::Relaxed);
            replaced
        });
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                let pool = database.pool();
                while !ended.load(Ordering::Relaxed) {
                    let last: u64 = sqlx::query_scalar(
                        "SELECT id FROM products FORCE INDEX (by_price) ORDER BY price, id LIMIT 1",
                    )
                    .fetch_one(&pool)
                    .await
                    .unwrap();
                    let total: u64 =
                        sqlx::query_scalar("SELECT MAX(id) FROM products").fetch_one(&pool).await.unwrap();
                    assert!(last >= 1);
                    reads += 1;
                    totals.insert(total);
                }
                pool.close().await;
            });
        });
        job.join().unwrap().expect_success();
    });
    assert!(reads > 10, "{reads}");
    assert_eq!(
        totals.into_iter().collect::<Vec<_>>(),
        [500, crate::running::ROWS],
        "all of the old or all of the new"
    );
}
