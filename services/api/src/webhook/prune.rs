//! Old rows of the inbox are removed, a batch at a time, by every replica.

use std::time::Duration;

use farmlokal_catalog::Catalog;
use metrics::{Counter, counter};
use tracing::{debug, info};

/// Between two rounds, and at the most before the first: replicas that start together do not prune together.
const PERIOD: Duration = Duration::from_mins(15);
/// Between two batches, for all others who use the database.
const PAUSE: Duration = Duration::from_millis(200);
const BATCH: u32 = 1_000;
/// Kept for longer than events are taken, so that no difference of clocks makes a hole between the two.
const MARGIN: Duration = Duration::from_hours(24);

/// Prunes for ever what nobody needs who takes events up to `retention` after they came.
pub(super) async fn run(catalog: Catalog, retention: Duration) {
    let (pruned_events, pruned_versions) = (pruned_rows("webhook_events"), pruned_rows("product_versions"));
    loop {
        tokio::time::sleep(PERIOD.mul_f64(rand::random_range(0.5..=1.0))).await;
        let (mut events, mut versions) = (0, 0);
        loop {
            let pruned = match catalog.prune_events(retention + MARGIN, BATCH).await {
                Ok(pruned) => pruned,
                // The database is gone, or another replica is at it: the next round comes.
                Err(error) => {
                    debug!(%error, "pruning the inbox stopped");
                    break;
                }
            };
            events += pruned.events;
            versions += pruned.versions;
            pruned_events.increment(pruned.events);
            pruned_versions.increment(pruned.versions);
            if pruned.events.max(pruned.versions) < u64::from(BATCH) {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        if events + versions > 0 {
            info!(events, versions, "pruned the inbox");
        }
    }
}

fn pruned_rows(table: &'static str) -> Counter {
    counter!("farmlokal_webhook_pruned_rows_total", "table" => table)
}
