//! Idempotency keys: what was done for each, inserted in the transaction that did it.

use sqlx::{MySqlConnection, Row as _};

use super::{Done, Written};
use crate::error::{is_duplicate_key, is_locked};

/// Makes a batch take effect once within a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// SHA-256 of the key and of whose key it is.
    pub key_hash: [u8; 32],
    /// SHA-256 of the request: the same key with another one is another request.
    pub request_hash: [u8; 32],
}

impl Idempotency {
    /// Takes the key until the end of the transaction, before anything else is decided: a batch that is sent again would not find
    /// its preconditions met. Where somebody has had the key, it says what became of that.
    ///
    /// Who holds the key holds a lock on its row. It ends with the connection, so the key of a process that was killed is free.
    pub(super) async fn claim(
        &self,
        connection: &mut MySqlConnection,
    ) -> Result<Option<Written>, sqlx::Error> {
        let probe = sqlx::query("SELECT 1 FROM idempotency_keys WHERE key_hash = ? FOR UPDATE NOWAIT")
            .bind(&self.key_hash[..])
            .fetch_optional(&mut *connection)
            .await;
        let is_free = match probe {
            Err(error) if is_locked(&error) => false,
            row => row?.is_none(),
        };
        if is_free {
            match self.insert(connection).await {
                // Another was quicker.
                Err(error) if is_duplicate_key(&error) => {}
                inserted => return inserted.map(|()| None),
            }
        }
        self.earlier(connection).await.map(Some)
    }

    async fn insert(&self, connection: &mut MySqlConnection) -> Result<(), sqlx::Error> {
        sqlx::query("INSERT INTO idempotency_keys (key_hash, request_hash, done) VALUES (?, ?, '')")
            .bind(&self.key_hash[..])
            .bind(&self.request_hash[..])
            .execute(connection)
            .await?;
        Ok(())
    }

    /// What became of whoever has had the key. A read without a lock sees only what is committed.
    async fn earlier(&self, connection: &mut MySqlConnection) -> Result<Written, sqlx::Error> {
        let row = sqlx::query("SELECT request_hash, done FROM idempotency_keys WHERE key_hash = ?")
            .bind(&self.key_hash[..])
            .fetch_optional(connection)
            .await?;
        let Some(row) = row else { return Ok(Written::InFlight) };
        let (request_hash, done): (Vec<u8>, Vec<u8>) = (row.try_get(0)?, row.try_get(1)?);
        if request_hash != self.request_hash {
            return Ok(Written::Conflict);
        }
        let done = serde_json::from_slice(&done).map_err(|error| sqlx::Error::Decode(error.into()))?;
        Ok(Written::Again(done))
    }

    /// Keeps what was done for the key.
    pub(super) async fn keep(
        &self,
        connection: &mut MySqlConnection,
        done: &[Done],
    ) -> Result<(), sqlx::Error> {
        let done = serde_json::to_vec(done).map_err(|error| sqlx::Error::Encode(error.into()))?;
        sqlx::query("UPDATE idempotency_keys SET done = ? WHERE key_hash = ?")
            .bind(done)
            .bind(&self.key_hash[..])
            .execute(connection)
            .await?;
        Ok(())
    }
}
