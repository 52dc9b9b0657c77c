//! Loads a whole catalogue at once, beside a running API.
//!
//! Rows go into a staging table without secondary indexes; the indexes are added in one go; a RENAME makes it
//! `products`, so that a list never meets a table without the index that it forces. Then the search indexes are told, which read
//! everything anew.
//!
//! No record of progress is kept beside the data. The table's comment says which rows it holds, the highest id how many,
//! its definition which indexes. The replaced table stays until [`Load::finish`]: its presence says that the load is
//! unfinished. One connection does all the work and holds the lock, which is not released before the statement ends that the
//! server may still be running for a dead client.

mod definition;
mod error;
mod rows;
mod statements;

use std::time::Duration;

use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{AssertSqlSafe, Connection as _};

use self::rows::insert_statement;

pub use self::error::LoadError;
pub use self::rows::Batch;

const LIVE: &str = "products";
const STAGING: &str = "products_seed";
const REPLACED: &str = "products_replaced";
const COUNTERS: &str = "change_counters";
/// Raises the sum of the counters beyond what events that commit before the swap can.
const REPLACEMENT: u64 = 1 << 32;

/// Raises the next id beyond what products created before the swap can get.
const ID_MARGIN: u64 = 1 << 20;

/// The only writer of whole catalogues to its database, for as long as it lives.
pub struct Load {
    connection: MySqlConnection,
}

/// What `products` holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contents {
    /// Nothing.
    Nothing,
    /// Rows that no load brought.
    Unknown,
    /// A load's rows.
    Loaded {
        /// What the load called them, see [`Load::stage`].
        label: String,
        /// Whether [`Load::finish`] was reached. If not, search indexes and caches may not know of these rows.
        finished: bool,
    },
}

impl Load {
    /// Connects and takes the database's load lock, if no other holds it.
    ///
    /// # Errors
    /// [`LoadError::Locked`] after waiting for `patience`; [`LoadError::NotMigrated`] without a table `products`.
    pub async fn begin(options: MySqlConnectOptions, patience: Duration) -> Result<Load, LoadError> {
        let mut connection = statements::connect(options).await?;
        statements::lock(&mut connection, patience).await?;
        if statements::comment(&mut connection, LIVE).await?.is_none() {
            return Err(LoadError::NotMigrated);
        }
        Ok(Load { connection })
    }

    /// What `products` holds now.
    pub async fn contents(&mut self) -> Result<Contents, LoadError> {
        let empty = statements::is_empty(&mut self.connection, LIVE).await?;
        let label = statements::comment(&mut self.connection, LIVE).await?.unwrap_or_default();
        let finished = statements::comment(&mut self.connection, REPLACED).await?.is_none();
        Ok(match (empty, label.is_empty()) {
            (true, _) if finished => Contents::Nothing,
            (_, true) => Contents::Unknown,
            _ => Contents::Loaded { label, finished },
        })
    }

    /// Makes the staging table ready, and returns the highest id in it: 0, or that of an interrupted load with the
    /// same label. Rows with ids up to there need not be inserted again.
    ///
    /// The label tells which rows these are: two loads with one label bring the same rows. At most 200 characters.
    ///
    /// # Errors
    /// [`LoadError::Unfinished`] while an earlier load is.
    pub async fn stage(&mut self, label: &str) -> Result<u64, LoadError> {
        if statements::comment(&mut self.connection, REPLACED).await?.is_some() {
            return Err(LoadError::Unfinished);
        }
        let live = statements::definition(&mut self.connection, LIVE).await?;
        if statements::comment(&mut self.connection, STAGING).await?.as_deref() == Some(label)
            && statements::definition(&mut self.connection, STAGING).await?.columns == live.columns
        {
            return statements::highest_id(&mut self.connection, STAGING).await;
        }
        // The comment is set last and with the dropped indexes, so a table that has it is ready.
        self.run(format!("DROP TABLE IF EXISTS {STAGING}")).await?;
        self.run(format!("CREATE TABLE {STAGING} LIKE {LIVE}")).await?;
        let mut changes: Vec<_> = live.indexes.keys().map(|name| format!("DROP KEY {name}")).collect();
        // LIKE leaves the row format to the server where the live table does.
        changes.push("ROW_FORMAT = DYNAMIC".to_owned());
        changes.push(format!("COMMENT = '{}'", label.replace('\\', "\\\\").replace('\'', "''")));
        self.run(format!("ALTER TABLE {STAGING} {}", changes.join(", "))).await?;
        Ok(0)
    }

    /// Inserts a batch whose ids follow those in the staging table, in one transaction.
    pub async fn insert(&mut self, batch: Batch) -> Result<(), LoadError> {
        let mut transaction = self.connection.begin().await?;
        for rows in batch.0 {
            let statement = AssertSqlSafe(insert_statement(STAGING, rows.count));
            sqlx::query_with(statement, rows.arguments).execute(&mut *transaction).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Gives the staging table the indexes of `products`. Does nothing where that's done.
    pub async fn add_indexes(&mut self) -> Result<(), LoadError> {
        let live = statements::definition(&mut self.connection, LIVE).await?;
        let staging = statements::definition(&mut self.connection, STAGING).await?;
        let missing = live.indexes_missing_in(&staging);
        if missing.is_empty() {
            return Ok(());
        }
        let additions: Vec<_> = missing.iter().map(|index| format!("ADD {index}")).collect();
        self.run(format!("ALTER TABLE {STAGING} {}", additions.join(", "))).await
    }

    /// Makes the staging table `products`, in one step for everybody who reads it. The counters of changes are replaced in the same
    /// step, so that no search index takes the new products for those that it knows. No id of a product that is gone is given again.
    ///
    /// # Errors
    /// [`LoadError::SchemaChanged`] when `products` was migrated meanwhile: start again. [`LoadError::InUse`] when long
    /// transactions keep the old table for a minute.
    pub async fn swap(&mut self) -> Result<(), LoadError> {
        let live = statements::definition(&mut self.connection, LIVE).await?;
        let staging = statements::definition(&mut self.connection, STAGING).await?;
        if live.columns != staging.columns || !live.indexes_missing_in(&staging).is_empty() {
            return Err(LoadError::SchemaChanged);
        }
        if let Some(next_id) = live.next_id {
            self.run(format!("ALTER TABLE {STAGING} AUTO_INCREMENT = {}", next_id + ID_MARGIN)).await?;
        }
        // What a killed run left.
        self.run(format!("DROP TABLE IF EXISTS {COUNTERS}_seed, {COUNTERS}_replaced")).await?;
        self.run(format!("CREATE TABLE {COUNTERS}_seed LIKE {COUNTERS}")).await?;
        self.run(format!("INSERT INTO {COUNTERS}_seed SELECT * FROM {COUNTERS}")).await?;
        self.run(format!(
            "INSERT INTO {COUNTERS}_seed VALUES (0, {REPLACEMENT}) \
             ON DUPLICATE KEY UPDATE changes = changes + {REPLACEMENT}"
        ))
        .await?;
        statements::rename(
            &mut self.connection,
            &format!(
                "RENAME TABLE {LIVE} TO {REPLACED}, {STAGING} TO {LIVE}, \
                 {COUNTERS} TO {COUNTERS}_replaced, {COUNTERS}_seed TO {COUNTERS}"
            ),
        )
        .await
    }

    /// Drops the replaced tables: from here on the load counts as finished. Flush caches before.
    pub async fn finish(&mut self) -> Result<(), LoadError> {
        self.run(format!("DROP TABLE IF EXISTS {COUNTERS}_replaced")).await?;
        self.run(format!("DROP TABLE IF EXISTS {REPLACED}")).await
    }

    /// Gives the lock back. Dropping does so too, as soon as the server notices.
    pub async fn close(self) -> Result<(), LoadError> {
        Ok(self.connection.close().await?)
    }

    async fn run(&mut self, statement: String) -> Result<(), LoadError> {
        Ok(statements::run(&mut self.connection, statement).await?)
    }
}
