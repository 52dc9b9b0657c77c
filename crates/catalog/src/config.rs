//! How the catalogue reaches its database, and how much of it it may use.

#![allow(clippy::doc_markdown, reason = "the help texts are for terminals")]

use std::time::Duration;

use clap::Args;
use farmlokal_settings::{duration, nonzero_duration};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{AssertSqlSafe, Connection as _, Row as _};

use crate::error::explain;

/// Which of the two servers a connection has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    MariaDb,
    MySql,
}

/// How the catalogue uses the database.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Catalogue")]
pub struct CatalogConfig {
    /// Connections for lists and items at the most, beside two for the search index and one to see whether the database is
    /// there; a few more than the database cores that this process may use
    #[arg(id = "db_max_connections", long = "db-max-connections", value_name = "COUNT", env = "DB_MAX_CONNECTIONS", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_connections: u32,
    /// How long a query may wait in the queue for a connection before it is refused with 503
    #[arg(long = "db-queue-timeout", env = "DB_QUEUE_TIMEOUT", value_name = "DURATION", default_value = "500ms", value_parser = duration)]
    pub queue_timeout: Duration,
    /// How long it may take to connect to the database, and how long an event or a write may wait for a connection
    #[arg(long = "db-acquire-timeout", env = "DB_ACQUIRE_TIMEOUT", value_name = "DURATION", default_value = "1s", value_parser = nonzero_duration)]
    pub acquire_timeout: Duration,
    /// The database gives a list or item query up after this time
    #[arg(long = "list-timeout", env = "LIST_TIMEOUT", value_name = "DURATION", default_value = "1s", value_parser = nonzero_duration)]
    pub list_deadline: Duration,
    /// How long a read may take at the replica that DATABASE_READ_URL names, connecting included; after that it goes to the database
    #[arg(long = "db-replica-timeout", env = "DB_REPLICA_TIMEOUT", value_name = "DURATION", default_value = "100ms", value_parser = nonzero_duration)]
    pub replica_timeout: Duration,
    /// Connections for events and writes, beside the others
    #[arg(long = "db-write-connections", env = "DB_WRITE_CONNECTIONS", value_name = "COUNT", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    pub write_connections: u32,
    /// How long an event or a write may take, attempts after a deadlock or a lost connection included.
    #[arg(skip = Duration::from_secs(3))]
    pub write_deadline: Duration,
}

/// More prepared statements than a connection that sees every shape of query has.
pub(crate) const STATEMENTS: usize = 128;

/// What every connection of ours has in common, whatever the server's defaults are.
///
/// The statement cache holds every statement that we have, because preparing one anew costs two round trips, and 40 ms
/// where the server delays its acknowledgements (sqlx 0.9 does not set `TCP_NODELAY`).
pub(crate) fn connect_options(options: MySqlConnectOptions) -> MySqlConnectOptions {
    options
        .charset("utf8mb4")
        .collation("utf8mb4_unicode_520_ci")
        .pipes_as_concat(false)
        .no_engine_substitution(false)
        .timezone("+00:00".to_owned())
        .statement_cache_capacity(STATEMENTS)
}

/// Opens a connection in the mode that our statements are written for, whatever the server's is: strict, and each statement a
/// transaction of its own unless one is begun. Returns which server it is, too.
pub(crate) async fn connect(
    options: &MySqlConnectOptions,
) -> Result<(MySqlConnection, Dialect), sqlx::Error> {
    let mut connection = MySqlConnection::connect_with(options).await.map_err(explain)?;
    let row = sqlx::raw_sql(
        "SET SESSION autocommit = 1, completion_type = 'NO_CHAIN', \
         sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'; \
         SELECT VERSION() LIKE '%MariaDB%'",
    )
    .fetch_one(&mut connection)
    .await?;
    let is_mariadb: i64 = row.try_get_unchecked(0)?;
    Ok((connection, if is_mariadb == 1 { Dialect::MariaDb } else { Dialect::MySql }))
}

/// What connections for reads have on top: a deadline for every statement.
///
/// `MariaDB` does not look up statistics of columns: every list names its index, and the lookup would take part of the time that
/// a page takes to read.
pub(crate) fn read_settings(dialect: Dialect, deadline: Duration) -> String {
    let mut settings = format!(
        "TRANSACTION ISOLATION LEVEL REPEATABLE READ; SET SESSION {}, {}",
        statement_deadline(dialect, deadline),
        idle_timeout(dialect),
    );
    if dialect == Dialect::MariaDb {
        settings += ", optimizer_use_condition_selectivity = 1, use_stat_tables = 'never'";
    }
    settings
}

/// `MySQL` counts in milliseconds, and stops nothing but a `SELECT`; `MariaDB` counts in seconds. Zero would be no deadline to
/// either.
fn statement_deadline(dialect: Dialect, deadline: Duration) -> String {
    let milliseconds = deadline.as_millis().max(1);
    match dialect {
        Dialect::MySql => format!("max_execution_time = {milliseconds}"),
        Dialect::MariaDb => {
            format!("max_statement_time = {}.{:03}", milliseconds / 1000, milliseconds % 1000)
        }
    }
}

/// After this the server closes a silent connection, and ends its transaction, which holds a lock on the table's definition. A
/// client that lost its power or its network closes nothing itself. `MariaDB` has a timeout for transactions only; `MySQL` closes
/// every idle connection, and the pool [replaces them before](crate::pool::LONGEST_IDLE).
fn idle_timeout(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::MySql => "wait_timeout = 60",
        Dialect::MariaDb => "idle_transaction_timeout = 5",
    }
}

/// `SET SESSION`, in one round trip.
pub(crate) async fn set(connection: &mut MySqlConnection, settings: &str) -> Result<(), sqlx::Error> {
    let statement = format!("SET SESSION {settings}");
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await.map(|_| ())
}

/// What connections for events and writes have on top: no statement waits for a row for more than 2 s, or for a table for
/// more than 3. `MySQL` has no other deadline for writes; `MariaDB` has one for all that a statement does.
///
/// `READ COMMITTED`, because no transaction of ours reads a row twice without having locked it, and locks on the gaps
/// between rows would make transactions about different products wait for each other.
pub(crate) fn write_settings(dialect: Dialect, deadline: Duration) -> String {
    let mut settings = format!(
        "TRANSACTION ISOLATION LEVEL READ COMMITTED; \
         SET SESSION innodb_lock_wait_timeout = 2, lock_wait_timeout = 3, {}",
        idle_timeout(dialect),
    );
    if dialect == Dialect::MariaDb {
        settings = format!("{settings}, {}", statement_deadline(dialect, deadline));
    }
    settings
}
