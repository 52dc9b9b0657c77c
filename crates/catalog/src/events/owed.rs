//! A note that the cache has to be flushed still: it outlives the process whose event it was.

use std::time::Duration;

use sqlx::Row as _;
use tokio::time::timeout;

use crate::{Catalog, Error};

/// The longest that one of these statements may take: they touch one row, which nobody holds.
const PATIENCE: Duration = Duration::from_secs(2);

/// A flush that is owed, as it was found. An event that comes later makes it another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwedFlush(Vec<u8>);

impl Catalog {
    /// Notes that a flush is owed, for whichever process can make up for it.
    ///
    /// # Errors
    /// What every call may meet. Whether the note was taken is then unknown.
    pub async fn owe_flush(&self) -> Result<(), Error> {
        // Each note has a token of its own: who pays an earlier one does not take this one away.
        let note = sqlx::query(
            "INSERT INTO owed_flush (id, token) VALUES (1, RANDOM_BYTES(16)) \
             ON DUPLICATE KEY UPDATE token = VALUES(token)",
        );
        self.execute_for_events(note, PATIENCE).await?;
        Ok(())
    }

    /// The flush that is owed, if one is. Flush after this, then [`forget`](Self::forget_owed_flush) it.
    ///
    /// # Errors
    /// What every call may meet.
    pub async fn owed_flush(&self) -> Result<Option<OwedFlush>, Error> {
        let mut reader = self.event_database().reader().await?;
        let owed = sqlx::query("SELECT token FROM owed_flush").fetch_optional(reader.begin().await?);
        let Ok(owed) = timeout(PATIENCE, owed).await else { return Err(Error::Deadline) };
        let owed = owed?;
        reader.end();
        Ok(owed.map(|row| row.try_get("token").map(OwedFlush)).transpose()?)
    }

    /// Forgets the flush that was owed, unless another event has owed one since.
    ///
    /// # Errors
    /// What every call may meet. It is then owed still, and one flush more does no harm.
    pub async fn forget_owed_flush(&self, paid: &OwedFlush) -> Result<(), Error> {
        let forget = sqlx::query("DELETE FROM owed_flush WHERE token = ?").bind(&paid.0);
        self.execute_for_events(forget, PATIENCE).await?;
        Ok(())
    }
}
