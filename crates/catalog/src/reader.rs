//! One call's connection: reads through it are measured, and tried once more if it breaks.

use std::time::{Duration, Instant};

use metrics::histogram;
use sqlx::{Connection as _, MySqlConnection, mysql::MySqlRow};
use tokio::{sync::Mutex, time::timeout};
use tracing::{Instrument as _, field::Empty, info_span};

use crate::{
    error::{is_transient, out_of_time, record},
    metrics::QUERY_DURATION,
    pool::{Pool, Pooled},
    statement::{Kind, Statement},
};

/// An answer is waited for so much longer than the session's deadline. No deadline in the database ends a statement whose server
/// hangs, or whose network drops everything.
const GRACE: Duration = Duration::from_millis(500);

/// The pool, and a connection outside of it for [`ping`](Database::ping): a full pool is load, not an outage.
pub(crate) struct Database {
    pool: Pool,
    /// Without one the next ping opens one.
    ping_connection: Mutex<Option<MySqlConnection>>,
}

impl Database {
    pub(crate) fn new(pool: Pool) -> Database {
        Database { pool, ping_connection: Mutex::new(None) }
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(crate) async fn reader(&self) -> Result<Reader<'_>, sqlx::Error> {
        let span = info_span!("db.acquire", otel.status_code = Empty, "error.type" = Empty);
        let connection = self.pool.get().instrument(span.clone()).await;
        let connection = connection.inspect_err(|error| record(error, &span))?;
        Ok(Reader { database: self, connection: Some(connection), busy: false })
    }

    /// Closes the connection of pings: the next one asks the server that the name stands for then.
    pub(crate) async fn forget(&self) {
        if let Some(connection) = self.ping_connection.lock().await.take() {
            let _ = timeout(GRACE, connection.close()).await;
        }
    }

    /// Runs a statement outside of the pool.
    pub(crate) async fn ping(&self, statement: &Statement<'_>) -> Result<Vec<MySqlRow>, sqlx::Error> {
        let mut kept = self.ping_connection.lock().await;
        if let Some(mut connection) = kept.take()
            && let Ok(rows) = self.answer(statement, &mut connection).await
        {
            *kept = Some(connection);
            return Ok(rows);
        }
        // There was none, or it broke: the server may have restarted since.
        let mut connection = self.pool.connect().await?;
        let rows = self.answer(statement, &mut connection).await?;
        *kept = Some(connection);
        Ok(rows)
    }

    /// The statement's rows, unless nothing answers in time. A connection is of no more use then.
    pub(crate) async fn answer(
        &self,
        statement: &Statement<'_>,
        connection: &mut MySqlConnection,
    ) -> Result<Vec<MySqlRow>, sqlx::Error> {
        timeout(self.pool.deadline() + GRACE, statement.fetch(connection))
            .await
            .unwrap_or_else(|_| Err(out_of_time()))
    }
}

/// Records the time that something took: `farmlokal_db_query_duration_seconds`.
pub(crate) fn record_duration(kind: Kind, elapsed: Duration) {
    histogram!(QUERY_DURATION, "statement" => kind.label()).record(elapsed);
}

/// One call's connection.
pub(crate) struct Reader<'c> {
    database: &'c Database,
    /// There until the reader is dropped.
    connection: Option<Pooled>,
    /// A statement is running on it. A reader that is dropped then closes the connection: the next call must neither wait for that
    /// statement nor find itself in another's transaction.
    busy: bool,
}

impl Reader<'_> {
    pub(crate) async fn fetch(&mut self, statement: &Statement<'_>) -> Result<Vec<MySqlRow>, sqlx::Error> {
        let (started, span) = (Instant::now(), statement.kind.span());
        let result = self.fetch_twice(statement).instrument(span.clone()).await;
        record_duration(statement.kind, started.elapsed());
        match &result {
            Ok(rows) => {
                span.record("db.response.returned_rows", rows.len());
            }
            Err(error) => record(error, &span),
        }
        result
    }

    /// Again on another connection, where one breaks.
    async fn fetch_twice(&mut self, statement: &Statement<'_>) -> Result<Vec<MySqlRow>, sqlx::Error> {
        match self.fetch_once(statement).await {
            Err(error) if is_transient(&error) => {
                tracing::debug!(%error, statement = statement.kind.label(), "reading again");
                self.replace_broken().await?;
                self.fetch_once(statement).await
            }
            result => result,
        }
    }

    async fn fetch_once(&mut self, statement: &Statement<'_>) -> Result<Vec<MySqlRow>, sqlx::Error> {
        let database = self.database;
        let result = database.answer(statement, self.begin()?).await;
        // What the server has refused or stopped leaves its connection as it was. Any other failure breaks it: after a timeout
        // the answer may still come, and must not be taken for another statement's.
        self.busy = result.as_ref().is_err_and(|error| error.as_database_error().is_none());
        result
    }

    /// The connection, to run something on it. Call [`end`](Self::end) when that has ended well.
    pub(crate) fn begin(&mut self) -> Result<&mut MySqlConnection, sqlx::Error> {
        self.busy = true;
        self.connection.as_deref_mut().ok_or(sqlx::Error::PoolClosed)
    }

    /// Nothing is running any more: the next call may have the connection.
    pub(crate) fn end(&mut self) {
        self.busy = false;
    }

    /// Opens another connection where this one does not answer. A server that restarted has broken all of the pool's, so it is
    /// none of those.
    pub(crate) async fn replace_broken(&mut self) -> Result<(), sqlx::Error> {
        let database = self.database;
        let connection = self.begin()?;
        if !timeout(GRACE, connection.ping()).await.is_ok_and(|answer| answer.is_ok()) {
            *connection = database.pool.connect().await?;
        }
        self.end();
        Ok(())
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        if self.busy {
            drop(self.connection.take().map(Pooled::take));
        }
    }
}
