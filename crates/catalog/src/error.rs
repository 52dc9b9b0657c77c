//! What can go wrong, in the terms of a caller.

use std::io;

use tracing::Span;

/// Why the catalogue gave no answer. Its text names no table, statement or host; the source does, for the log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The call ran out of time: the database stopped its statement, or gave no answer in time.
    #[error("the database took too long")]
    Deadline,
    /// Every connection is in use: the admission queue is full, or the call has waited in it for its whole timeout.
    #[error("every database connection is in use")]
    Busy,
    /// The database cannot be reached, or refuses us.
    #[error("the database is not available")]
    Unavailable(#[source] sqlx::Error),
    /// The database answers, but holds no catalogue: it was never migrated.
    #[error("the database has no catalogue: run the migrations first")]
    SchemaMissing,
    /// A defect: ours, or of the stored data.
    #[error("the catalogue failed")]
    Internal(#[source] sqlx::Error),
}

/// Numbers of the server errors that we distinguish, MySQL's and MariaDB's.
mod number {
    pub(super) const CON_COUNT: u16 = 1040;
    pub(super) const FILSORT_ABORT: u16 = 1028;
    pub(super) const SERVER_SHUTDOWN: u16 = 1053;
    pub(super) const ACCESS_DENIED_DATABASE: u16 = 1044;
    pub(super) const ACCESS_DENIED: u16 = 1045;
    pub(super) const UNKNOWN_DATABASE: u16 = 1049;
    pub(super) const NO_SUCH_TABLE: u16 = 1146;
    pub(super) const CHECKREAD: u16 = 1020;
    pub(super) const LOCK_DEADLOCK: u16 = 1213;
    pub(super) const LOCK_WAIT_TIMEOUT: u16 = 1205;
    pub(super) const LOCK_NOWAIT: u16 = 3572;
    pub(super) const TABLE_DEF_CHANGED: u16 = 1412;
    pub(super) const DUP_ENTRY: u16 = 1062;
    pub(super) const QUERY_INTERRUPTED: u16 = 1317;
    pub(super) const OPTION_PREVENTS_STATEMENT: u16 = 1290;
    pub(super) const READ_ONLY_TRANSACTION: u16 = 1792;
    pub(super) const READ_ONLY_MODE: u16 = 1836;
    pub(super) const STATEMENT_TIMEOUT: u16 = 1969;
    pub(super) const QUERY_TIMEOUT: u16 = 3024;
    pub(super) const CONNECTION_KILLED: u16 = 1927;
}

fn server_error(error: &sqlx::Error) -> Option<u16> {
    error
        .as_database_error()?
        .try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>()
        .map(sqlx::mysql::MySqlDatabaseError::number)
}

/// Adds the settings to look at to the error of a connection that cannot be made, where they may be wrong.
pub(crate) fn explain(error: sqlx::Error) -> sqlx::Error {
    let settings = match &error {
        sqlx::Error::Tls(_) => "DB_TLS or DB_HOST",
        // What rustls says of the other side.
        sqlx::Error::Io(cause) if cause.kind() == io::ErrorKind::InvalidData => {
            "DB_HOST, DB_TLS_CA or DB_TLS_CERT"
        }
        _ if server_error(&error) == Some(number::ACCESS_DENIED) => {
            "DB_USER, DB_PASS or DB_TLS_CERT, or the URL"
        }
        _ => return error,
    };
    sqlx::Error::Configuration(format!("{error}; see {settings}").into())
}

/// A call ran out of time on this side: the database has stopped nothing, and may answer nothing any more.
#[derive(Debug, thiserror::Error)]
#[error("no answer in time")]
struct OutOfTime;

/// Not the system's `TimedOut`, which a connection that breaks or cannot be made ends in.
pub(crate) fn out_of_time() -> sqlx::Error {
    io::Error::new(io::ErrorKind::TimedOut, OutOfTime).into()
}

pub(crate) fn is_out_of_time(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(error) if error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<OutOfTime>))
}

/// Records in a span how its operation failed, in a few stable words that name nothing.
pub(crate) fn record(error: &sqlx::Error, span: &Span) {
    if span.is_disabled() {
        return;
    }
    span.record("otel.status_code", "ERROR");
    let number = server_error(error).map(|number| number.to_string());
    let kind = match error {
        _ if is_out_of_time(error) => "timeout",
        sqlx::Error::Io(_) => "io",
        sqlx::Error::Configuration(_) => "configuration",
        sqlx::Error::Protocol(_) => "protocol",
        sqlx::Error::PoolTimedOut => "pool_timed_out",
        sqlx::Error::PoolClosed => "pool_closed",
        _ => "_OTHER",
    };
    span.record("error.type", number.as_deref().unwrap_or(kind));
    span.record("db.response.status_code", number.as_deref());
}

/// The connection broke, or the transaction lost a race, with a table that was replaced too: a read may be tried again. Not where nothing answered, which would
/// only take as long again.
pub(crate) fn is_transient(error: &sqlx::Error) -> bool {
    match error {
        _ if is_out_of_time(error) => false,
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) => true,
        other => matches!(
            server_error(other),
            Some(
                number::CHECKREAD
                    | number::LOCK_DEADLOCK
                    | number::TABLE_DEF_CHANGED
                    | number::SERVER_SHUTDOWN
                    | number::CONNECTION_KILLED
            )
        ),
    }
}

/// As [`is_transient`], and for writes: a lock that was not free in time, a statement killed when the server stops.
/// The transaction may run again from its start if all that it does is one.
pub(crate) fn is_transient_write(error: &sqlx::Error) -> bool {
    is_transient(error)
        || is_lock_wait_timeout(error)
        || server_error(error) == Some(number::QUERY_INTERRUPTED)
}

/// Another held a lock for too long.
pub(crate) fn is_lock_wait_timeout(error: &sqlx::Error) -> bool {
    server_error(error) == Some(number::LOCK_WAIT_TIMEOUT)
}

/// The transaction lost a race, and the server has rolled it back.
pub(crate) fn is_rolled_back(error: &sqlx::Error) -> bool {
    server_error(error) == Some(number::LOCK_DEADLOCK)
}

/// Another holds a lock that was asked for with `NOWAIT`.
pub(crate) fn is_locked(error: &sqlx::Error) -> bool {
    is_lock_wait_timeout(error) || server_error(error) == Some(number::LOCK_NOWAIT)
}

/// A row with this key is there already.
pub(crate) fn is_duplicate_key(error: &sqlx::Error) -> bool {
    server_error(error) == Some(number::DUP_ENTRY)
}

/// The server has no database of this name.
pub(crate) fn is_missing_database(error: &sqlx::Error) -> bool {
    server_error(error) == Some(number::UNKNOWN_DATABASE)
}

/// The database stopped the statement at its deadline.
pub(crate) fn is_deadline(error: &sqlx::Error) -> bool {
    matches!(server_error(error), Some(number::STATEMENT_TIMEOUT | number::QUERY_TIMEOUT))
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Error {
        match &error {
            sqlx::Error::PoolTimedOut => return Error::Busy,
            _ if is_deadline(&error) || is_out_of_time(&error) => return Error::Deadline,
            sqlx::Error::Io(_)
            | sqlx::Error::Configuration(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolClosed => return Error::Unavailable(error),
            _ => {}
        }
        match server_error(&error) {
            Some(number::NO_SUCH_TABLE | number::UNKNOWN_DATABASE) => Error::SchemaMissing,
            Some(
                number::LOCK_DEADLOCK
                | number::CHECKREAD
                | number::TABLE_DEF_CHANGED
                | number::LOCK_WAIT_TIMEOUT
                // Some versions report so that a statement was stopped at its deadline; or somebody has stopped it.
                | number::QUERY_INTERRUPTED
                | number::FILSORT_ABORT,
            ) => Error::Deadline,
            Some(
                number::CON_COUNT
                | number::SERVER_SHUTDOWN
                | number::ACCESS_DENIED
                | number::ACCESS_DENIED_DATABASE
                | number::CONNECTION_KILLED
                // A primary that has become a replica.
                | number::OPTION_PREVENTS_STATEMENT
                | number::READ_ONLY_TRANSACTION
                | number::READ_ONLY_MODE,
            ) => Error::Unavailable(error),
            _ => Error::Internal(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_call_that_ran_out_of_time_is_one() {
        assert!(matches!(Error::from(out_of_time()), Error::Deadline));
        // As the system says it of a connection.
        let broken: sqlx::Error = io::Error::from(io::ErrorKind::TimedOut).into();
        assert!(is_transient(&broken) && !is_transient(&out_of_time()));
        assert!(matches!(Error::from(broken), Error::Unavailable(_)));
    }
}
