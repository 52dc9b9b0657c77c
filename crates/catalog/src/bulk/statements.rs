//! The statements behind a load, one function each.

use std::time::{Duration, Instant};

use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _};
use tokio::time::sleep;

use super::LoadError;
use super::definition::Definition;
use crate::config::{self, connect_options, set};
use crate::error::is_lock_wait_timeout;

/// Faster where the server knows them and lets us; each is tried on its own. All are for this session only.
const OPTIONAL_SETTINGS: [&str; 6] = [
    // The staging table has no unique index but the primary key, which is always checked.
    "unique_checks = 0",
    // MySQL: sort in this much memory, in bytes, and with as many threads as there may be cores.
    "innodb_ddl_buffer_size = 268435456",
    "innodb_ddl_threads = 4",
    "innodb_parallel_read_threads = 4",
    // MariaDB: a limit for the queries of others must not end an ALTER.
    "max_statement_time = 0",
    // MySQL's name for the same, which spares ALTER; for the checks before it.
    "max_execution_time = 0",
];

/// How long a RENAME waits for readers at a time: readers that come later queue behind it.
const RENAME_WAIT_SECONDS: u8 = 1;
const RENAME_PAUSE: Duration = Duration::from_millis(500);
const RENAME_PATIENCE: Duration = Duration::from_secs(60);

pub(super) async fn connect(options: MySqlConnectOptions) -> Result<MySqlConnection, sqlx::Error> {
    // Statements of a million rows are slow; the log need not say so.
    let options = connect_options(options).disable_statement_logging();
    let (mut connection, _) = config::connect(&options).await?;
    for setting in OPTIONAL_SETTINGS {
        if let Err(error) = set(&mut connection, setting).await {
            tracing::debug!(setting, %error, "the server does without");
        }
    }
    Ok(connection)
}

/// The lock is the server's, so its name identifies the database; 64 characters are the limit.
pub(super) async fn lock(connection: &mut MySqlConnection, patience: Duration) -> Result<(), LoadError> {
    const STATEMENT: &str = "SELECT GET_LOCK(CONCAT('farmlokal-seed-', LEFT(SHA2(DATABASE(), 256), 32)), ?)";
    let deadline = Instant::now() + patience;
    let mut wait = 0;
    loop {
        let locked: Option<i64> =
            sqlx::query_scalar(STATEMENT).bind(wait).fetch_one(&mut *connection).await?;
        if locked == Some(1) {
            return Ok(());
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(LoadError::Locked(patience));
        }
        tracing::info!(
            "another seed run, or what the server still does for a killed one, is at work: waiting"
        );
        wait = left.as_secs().clamp(1, 10);
    }
}

/// A table's comment, or nothing if there's no such table.
pub(super) async fn comment(
    connection: &mut MySqlConnection,
    table: &str,
) -> Result<Option<String>, sqlx::Error> {
    // The cast: MySQL and MariaDB give this column different types.
    sqlx::query_scalar(
        "SELECT CAST(table_comment AS CHAR) FROM information_schema.tables \
         WHERE table_schema = DATABASE() AND table_name = ?",
    )
    .bind(table)
    .fetch_optional(connection)
    .await
}

pub(super) async fn definition(
    connection: &mut MySqlConnection,
    table: &str,
) -> Result<Definition, sqlx::Error> {
    let (_, create_table): (String, String) =
        sqlx::query_as(AssertSqlSafe(format!("SHOW CREATE TABLE {table}"))).fetch_one(connection).await?;
    Ok(Definition::parse(&create_table))
}

pub(super) async fn is_empty(connection: &mut MySqlConnection, table: &str) -> Result<bool, sqlx::Error> {
    let row = sqlx::query(AssertSqlSafe(format!("SELECT 1 FROM {table} LIMIT 1")))
        .fetch_optional(connection)
        .await?;
    Ok(row.is_none())
}

pub(super) async fn highest_id(connection: &mut MySqlConnection, table: &str) -> Result<u64, LoadError> {
    let id: Option<u64> = sqlx::query_scalar(AssertSqlSafe(format!("SELECT MAX(id) FROM {table}")))
        .fetch_one(connection)
        .await?;
    Ok(id.unwrap_or(0))
}

/// A RENAME waits for every transaction that has read the table, and all later readers wait for the RENAME. So it
/// waits briefly, steps back to let them through, and tries again.
pub(super) async fn rename(connection: &mut MySqlConnection, statement: &str) -> Result<(), LoadError> {
    let deadline = Instant::now() + RENAME_PATIENCE;
    let brief = format!(
        "SET @usual_wait = @@SESSION.lock_wait_timeout, SESSION lock_wait_timeout = {RENAME_WAIT_SECONDS}"
    );
    run(connection, brief).await?;
    let renamed = loop {
        match run(connection, statement.to_owned()).await {
            Err(error) if is_lock_wait_timeout(&error) && Instant::now() < deadline => {
                sleep(RENAME_PAUSE).await;
            }
            renamed => break renamed,
        }
    };
    run(connection, "SET SESSION lock_wait_timeout = @usual_wait".to_owned()).await?;
    renamed.map_err(|error| {
        if is_lock_wait_timeout(&error) { LoadError::InUse(RENAME_PATIENCE) } else { error.into() }
    })
}

/// Runs one statement of ours that no value can be bound to.
pub(super) async fn run(connection: &mut MySqlConnection, statement: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await?;
    Ok(())
}
