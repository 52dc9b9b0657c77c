//! Removes old events, versions and idempotency keys.

use std::time::Duration;

use sqlx::AssertSqlSafe;
use tokio::time::timeout;

use crate::{Catalog, Error};

/// The longest that a batch may take: a database that stands still must not keep the connection.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How much longer rows are kept than events are taken. No difference of clocks makes a hole between the two, and each version
/// tells the search indexes for so long at the least that its product has changed.
const MARGIN: Duration = Duration::from_hours(24);

/// How long a repeated write gets the first answer again.
const KEYS_KEPT: Duration = Duration::from_hours(24);

/// Rows removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pruned {
    /// From the inbox.
    pub events: u64,
    /// From the products' versions.
    pub versions: u64,
    /// Idempotency keys of writes.
    pub keys: u64,
}

impl Catalog {
    /// Removes what is a day older than `retention` from the inbox (by when it was received) and from the versions (by when the
    /// newest event or write was), and idempotency keys after a day: at most `batch` rows of each. Any number of processes may do
    /// so at once.
    ///
    /// It is safe if no event that occurred longer than `retention` ago is applied any more: whatever is still applied is
    /// newer than every version that this removes, and whatever was applied in the last day keeps its version.
    pub async fn prune(&self, retention: Duration, batch: u32) -> Result<Pruned, Error> {
        let age = retention + MARGIN;
        let events = self.remove_older("webhook_events", "received_at", age, batch).await?;
        let versions = self.remove_older("product_versions", "newest_at", age, batch).await?;
        let keys = self.remove_older("idempotency_keys", "created_at", KEYS_KEPT, batch).await?;
        Ok(Pruned { events, versions, keys })
    }

    async fn remove_older(&self, table: &str, column: &str, age: Duration, batch: u32) -> Result<u64, Error> {
        let statement = format!(
            "DELETE FROM {table} WHERE {column} < UTC_TIMESTAMP(6) - INTERVAL ? SECOND ORDER BY {column} LIMIT ?"
        );
        let statement = sqlx::query(AssertSqlSafe(statement)).bind(age.as_secs()).bind(batch);
        let mut writer = self.write_database.reader().await?;
        let pruned = timeout(TIMEOUT, statement.execute(writer.begin()?)).await;
        let pruned = pruned.map_err(|_| Error::Deadline)??.rows_affected();
        writer.end();
        Ok(pruned)
    }
}
