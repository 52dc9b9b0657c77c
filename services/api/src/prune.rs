//! Old rows of the inbox, of versions and of idempotency keys are removed, a batch at a time, by every replica.

use std::time::Duration;

use farmlokal_catalog::{Catalog, Pruned};
use metrics::{counter, describe_counter};
use tracing::debug;

const PRUNED_ROWS: &str = "farmlokal_pruned_rows_total";

/// Between two rounds, and at the most before the first: replicas that start together do not prune together.
const PERIOD: Duration = Duration::from_mins(15);
/// Between two batches, for all others who use the database.
const PAUSE: Duration = Duration::from_millis(200);
const BATCH: u32 = 1_000;

/// Prunes for ever. No event that is older than `retention` is taken. Call it after the metrics recorder was installed.
pub(crate) async fn run(catalog: Catalog, retention: Duration) {
    for table in ["webhook_events", "product_versions", "idempotency_keys"] {
        counter!(PRUNED_ROWS, "table" => table).increment(0);
    }
    describe_counter!(PRUNED_ROWS, "Old rows removed, by table");
    loop {
        tokio::time::sleep(PERIOD.mul_f64(rand::random_range(0.5..=1.0))).await;
        loop {
            match catalog.prune(retention, BATCH).await {
                Ok(Pruned { events, versions, keys }) => {
                    counter!(PRUNED_ROWS, "table" => "webhook_events").increment(events);
                    counter!(PRUNED_ROWS, "table" => "product_versions").increment(versions);
                    counter!(PRUNED_ROWS, "table" => "idempotency_keys").increment(keys);
                    if events.max(versions).max(keys) < u64::from(BATCH) {
                        break;
                    }
                }
                // The database is gone, or another replica is at it: the next round comes.
                Err(error) => {
                    debug!(%error, "pruning stopped");
                    break;
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
