//! One call's connection: reads through it are measured, and tried once more if it breaks.

use std::time::{Duration, Instant};

use metrics::{Histogram, histogram};
use sqlx::{Connection as _, MySqlConnection, mysql::MySqlRow};
use tokio::{sync::Mutex, time::timeout};
use tracing::{Instrument as _, field::Empty, info_span};

use crate::{
    admission_queue::{AdmissionQueue, Full, Permit},
    error::{is_transient, out_of_time, record},
    metrics::QUERY_DURATION,
    pool::{Pool, Pooled},
    statement::{Kind, Statement},
};

/// An answer is waited for so much longer than the session's deadline. No deadline in the database ends a statement whose server
/// hangs, or whose network drops everything.
const GRACE: Duration = Duration::from_millis(500);

/// Seconds that a statement of each kind takes: `farmlokal_db_query_duration_seconds`.
struct Timings([Histogram; Kind::ALL.len()]);

impl Timings {
    fn new() -> Timings {
        Timings(Kind::ALL.map(|kind| histogram!(QUERY_DURATION, "statement" => kind.label())))
    }
}

/// The pool, and a connection outside of it for [`ping`](Database::ping): a full pool is load, not an outage.
pub(crate) struct Database {
    queue: AdmissionQueue,
    pool: Pool,
    timings: Timings,
    ping_connection: Mutex<Option<MySqlConnection>>,
}

impl Database {
    /// Calls wait in the admission queue for up to `queue_timeout`.
    pub(crate) fn new(pool: Pool, queue_timeout: Duration) -> Database {
        let queue = AdmissionQueue::new(pool.status().max_size, queue_timeout);
        Database { queue, pool, timings: Timings::new(), ping_connection: Mutex::new(None) }
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(crate) async fn reader(&self) -> Result<Reader<'_>, sqlx::Error> {
        let permit = self.queue.enter().await.map_err(|Full| sqlx::Error::PoolTimedOut)?;
        let connection = Some(self.acquire().await?);
        Ok(Reader { database: self, connection, busy: false, in_snapshot: false, _permit: permit })
    }

    async fn acquire(&self) -> Result<Pooled, sqlx::Error> {
        let span = info_span!("db.acquire", otel.status_code = Empty, "error.type" = Empty);
        let connection = self.pool.get().instrument(span.clone()).await;
        connection.inspect_err(|error| record(error, &span))
    }

    /// Records the time of what is no single statement.
    pub(crate) fn record(&self, kind: Kind, elapsed: Duration) {
        self.timings.0[kind as usize].record(elapsed);
    }

    /// A connection outside of the pool.
    pub(crate) async fn connect(&self) -> Result<MySqlConnection, sqlx::Error> {
        timeout(self.pool.deadline() + GRACE, self.pool.connect())
            .await
            .unwrap_or_else(|_| Err(out_of_time()))
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
        let mut connection = self.connect().await?;
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

/// One call's connection.
pub(crate) struct Reader<'c> {
    database: &'c Database,
    /// `None` once it has broken, until there is another.
    connection: Option<Pooled>,
    /// A statement is running on it. A reader that is dropped then closes the connection: the next call must neither wait for that
    /// statement nor find itself in another's transaction.
    busy: bool,
    /// A transaction is open: what is read is all of one moment.
    in_snapshot: bool,
    // Ends after the connection has gone back.
    _permit: Permit<'c>,
}

impl Reader<'_> {
    pub(crate) async fn fetch(&mut self, statement: &Statement<'_>) -> Result<Vec<MySqlRow>, sqlx::Error> {
        let span = statement.kind.span();
        let result = self.fetch_inside(statement).instrument(span.clone()).await;
        match &result {
            Ok(rows) => {
                span.record("db.response.returned_rows", rows.len());
            }
            Err(error) => record(error, &span),
        }
        result
    }

    async fn fetch_inside(&mut self, statement: &Statement<'_>) -> Result<Vec<MySqlRow>, sqlx::Error> {
        let started = Instant::now();
        let mut result = self.fetch_once(statement).await;
        // A snapshot is read again from its beginning, by whoever began it.
        if let Err(error) = &result
            && !self.in_snapshot
            && is_transient(error)
        {
            tracing::debug!(%error, statement = statement.kind.label(), "reading again");
            self.replace_broken().await?;
            result = self.fetch_once(statement).await;
        }
        self.database.record(statement.kind, started.elapsed());
        result
    }

    async fn fetch_once(&mut self, statement: &Statement<'_>) -> Result<Vec<MySqlRow>, sqlx::Error> {
        let database = self.database;
        let connection = self.begin().await?;
        let result = database.answer(statement, connection).await;
        // What the server has refused or stopped leaves its connection as it was. Any other failure breaks it: after a timeout
        // the answer may still come, and must not be taken for another statement's.
        self.busy = result.as_ref().is_err_and(|error| error.as_database_error().is_none());
        result
    }

    /// What is read from here on is all of one moment, this one. No read of it is tried again alone: where the connection broke,
    /// the snapshot has to be begun again. Unless it is [ended](Self::end_snapshot), the connection is closed with the reader.
    pub(crate) async fn begin_snapshot(&mut self) -> Result<(), sqlx::Error> {
        self.replace_broken().await?;
        self.run("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY").await?;
        self.in_snapshot = true;
        Ok(())
    }

    /// What is read from here on is of another moment.
    pub(crate) async fn end_snapshot(&mut self) -> Result<(), sqlx::Error> {
        self.run("COMMIT").await?;
        self.in_snapshot = false;
        Ok(())
    }

    /// Runs what cannot be prepared.
    async fn run(&mut self, statement: &'static str) -> Result<(), sqlx::Error> {
        let running = sqlx::raw_sql(statement).execute(self.begin().await?);
        timeout(GRACE, running).await.unwrap_or_else(|_| Err(out_of_time()))?;
        self.end();
        Ok(())
    }

    /// The connection, to run something on it. Call [`end`](Self::end) when that has ended well.
    pub(crate) async fn begin(&mut self) -> Result<&mut MySqlConnection, sqlx::Error> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.database.acquire().await?,
        };
        self.busy = true;
        Ok(self.connection.insert(connection))
    }

    /// Nothing is running any more: the next call may have the connection.
    pub(crate) fn end(&mut self) {
        self.busy = false;
    }

    /// Finds a connection that answers. A server that restarted has broken every idle one, and the pool hands out each of them
    /// once, untested.
    pub(crate) async fn replace_broken(&mut self) -> Result<(), sqlx::Error> {
        for _ in 0..=self.database.pool.status().max_size {
            let ping = self.begin().await?.ping();
            if timeout(GRACE, ping).await.is_ok_and(|answer| answer.is_ok()) {
                self.end();
                return Ok(());
            }
            self.discard();
        }
        Ok(())
    }

    fn discard(&mut self) {
        drop(self.connection.take().map(Pooled::take));
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        if self.busy || self.in_snapshot {
            self.discard();
        }
    }
}
