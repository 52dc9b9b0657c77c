//! Migrations: a step of their own, safe when several run at once and when one is killed half-way.

use std::time::Duration;

use sqlx::{
    Connection as _, SqlSafeStr as _,
    migrate::{Migrate as _, Migration, MigrationType, Migrator},
    mysql::{MySqlConnectOptions, MySqlConnection},
};
use xxhash_rust::xxh3::xxh3_64;

use crate::{
    config::{self, connect_options},
    error::is_missing_database,
};

/// Every migration: one statement each, because the servers commit after each, and each may run twice: a table is created
/// `IF NOT EXISTS`.
const MIGRATIONS: [(i64, &str, &str); 6] = [
    (1, "products", include_str!("../../../migrations/0001_products.sql")),
    (2, "webhook_events", include_str!("../../../migrations/0002_webhook_events.sql")),
    (3, "product_versions", include_str!("../../../migrations/0003_product_versions.sql")),
    (4, "change_counters", include_str!("../../../migrations/0004_change_counters.sql")),
    (5, "idempotency_keys", include_str!("../../../migrations/0005_idempotency_keys.sql")),
    (6, "search_index", include_str!("../../../migrations/0006_search_index.sql")),
];

/// The migration that this program needs at least.
pub(crate) fn newest() -> i64 {
    MIGRATIONS.last().map_or(0, |(version, ..)| *version)
}

/// How long one run waits for another.
const LOCK_TIMEOUT: Duration = Duration::from_secs(60);

/// Why the database could not be migrated.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// Another run held the lock for a minute.
    #[error("another migration is running: its lock was not free within {} s", LOCK_TIMEOUT.as_secs())]
    Locked,
    /// The database was migrated by a newer program.
    #[error(
        "the database is at migration {database}, newer than this program's, which is {newest}: run a newer program"
    )]
    Newer {
        /// The database's newest migration.
        database: i64,
        /// This program's newest migration.
        newest: i64,
    },
    /// The URL names no database.
    #[error("the database URL names no database")]
    NoDatabase,
    /// The server has no database of this name. None is created: the name may be a typing error.
    #[error("the server has no database {0:?}")]
    MissingDatabase(String),
    /// A migration that is applied has another text than ours.
    #[error(transparent)]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The server could not be reached, or failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Brings a database to the newest migration, and says which were applied.
pub async fn migrate(options: MySqlConnectOptions) -> Result<Vec<Migration>, MigrateError> {
    let mut connection = connect(options).await?;
    let applied = migrate_locked(&mut connection).await;
    // Closing the connection releases its lock, whatever happened.
    connection.close().await?;
    applied
}

async fn connect(options: MySqlConnectOptions) -> Result<MySqlConnection, MigrateError> {
    let database = options.get_database().ok_or(MigrateError::NoDatabase)?.to_owned();
    match config::connect(&connect_options(options)).await {
        Err(error) if is_missing_database(&error) => Err(MigrateError::MissingDatabase(database)),
        other => Ok(other?.0),
    }
}

/// One connection holds the lock and does the work: if it breaks, both end together.
async fn migrate_locked(connection: &mut MySqlConnection) -> Result<Vec<Migration>, MigrateError> {
    lock(connection).await?;
    connection.ensure_migrations_table("_sqlx_migrations").await?;
    // What a killed run left behind: its statement may or may not have run, and may run again.
    sqlx::query("DELETE FROM _sqlx_migrations WHERE success = FALSE").execute(&mut *connection).await?;

    let before: Vec<i64> = sqlx::query_scalar("SELECT version FROM _sqlx_migrations ORDER BY version")
        .fetch_all(&mut *connection)
        .await?;
    let newest = newest();
    if let Some(&database) = before.last().filter(|&&database| database > newest) {
        return Err(MigrateError::Newer { database, newest });
    }
    let mut migrator = Migrator::with_migrations(MIGRATIONS.map(migration).to_vec());
    migrator.set_locking(false);
    migrator.run_direct(None, &mut *connection, false).await?;
    Ok(migrator.iter().filter(|migration| !before.contains(&migration.version)).cloned().collect())
}

/// Locks are the server's, not the database's: the name identifies the database, and 64 characters are the limit.
///
/// sqlx's own lock is switched off: it asks for `GET_LOCK(name, -1)` and ignores the answer. `MariaDB` knows no endless wait, and
/// answers NULL without the lock (<https://github.com/mysqljs/mysql/issues/1912>).
async fn lock(connection: &mut MySqlConnection) -> Result<(), MigrateError> {
    let database: String = sqlx::query_scalar("SELECT DATABASE()").fetch_one(&mut *connection).await?;
    let name = format!("farmlokal-migrate-{:016x}", xxh3_64(database.as_bytes()));
    let locked: Option<i64> = sqlx::query_scalar("SELECT GET_LOCK(?, ?)")
        .bind(name)
        .bind(LOCK_TIMEOUT.as_secs())
        .fetch_one(connection)
        .await?;
    if locked == Some(1) { Ok(()) } else { Err(MigrateError::Locked) }
}

fn migration((version, description, sql): (i64, &'static str, &'static str)) -> Migration {
    Migration::new(version, description.into(), MigrationType::Simple, sql.into_sql_str(), false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_listed() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations");
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        let listed: Vec<_> =
            MIGRATIONS.iter().map(|(version, name, _)| format!("{version:04}_{name}.sql")).collect();
        assert_eq!(files, listed);
    }
}
