//! An API that goes on serving while its catalogue is replaced.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use farmlokal_testing::TestDatabase;

use crate::running::{job, run};

/// Statements that force an index fail with error 1176 on a table without it.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_never_meets_a_table_without_its_indexes() {
    let database = TestDatabase::create().await;
    run(job(&database).args(["--rows", "500"])).expect_success();
    let ended = AtomicBool::new(false);
    let (mut reads, mut positions) = (0, BTreeSet::new());
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
                    assert!(last >= 1);
                    // In one statement, as the fill of a search reads them.
                    let (total, replaced): (u64, u64) = sqlx::query_as(
                        "SELECT MAX(id), (SELECT changes FROM change_counters WHERE slot = 0) FROM products",
                    )
                    .fetch_one(&pool)
                    .await
                    .unwrap();
                    positions.insert((total, replaced));
                    reads += 1;
                }
                pool.close().await;
            });
        });
        job.join().unwrap().expect_success();
    });
    assert!(reads > 10, "{reads}");
    // All of the old or all of the new, and no search index takes these for those.
    let positions: Vec<_> = positions.into_iter().collect();
    assert!(matches!(positions[..], [(500, old), (crate::running::ROWS, new)] if new > old), "{positions:?}");
}
