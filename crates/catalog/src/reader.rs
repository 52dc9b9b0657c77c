//! One call's connection: reads through it are measured, and tried once more if it breaks.

use std::{
    io,
    time::{Duration, Instant},
};

use metrics::{Histogram, histogram};
use sqlx::{Connection as _, MySqlConnection, mysql::MySqlRow};
use tokio::{runtime::Handle, sync::Mutex, time::timeout};
use tracing::{Instrument as _, field::Empty, info_span};

use crate::{
    error::{is_transient, record},
    gate::{Full, Gate, Turn},
    metrics::QUERY_DURATION,
    pool::{Pool, Pooled},
    server::Server,
    statement::{Kind, Statement},
};

/// For so long beyond its session's deadline a statement's answer is waited for. Where nothing answers any more, be it a server
/// that stands still or a network that swallows all, no deadline of the database's ends a statement.
const GRACE: Duration = Duration::from_millis(500);

/// Seconds that a statement of each kind takes: `farmlokal_db_query_duration_seconds`.
struct Timings([Histogram; Kind::ALL.len()]);

impl Timings {
    fn new() -> Timings {
        Timings(Kind::ALL.map(|kind| histogram!(QUERY_DURATION, "statement" => kind.label())))
    }
}

/// The pool, and a connection beside it for [`ping`](Database::ping): a full pool is load, not an outage.
pub(crate) struct Database {
    gate: Gate,
    pool: Pool,
    timings: Timings,
    apart: Mutex<Option<MySqlConnection>>,
}

impl Database {
    /// Calls wait for up to `patience` for their turn.
    pub(crate) fn new(pool: Pool, patience: Duration) -> Database {
        let gate = Gate::new(pool.status().max_size, patience);
        Database { gate, pool, timings: Timings::new(), apart: Mutex::new(None) }
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    pub(crate) async fn reader(&self) -> Result<Reader<'_>, sqlx::Error> {
        let turn = self.gate.enter().await.map_err(|Full| sqlx::Error::PoolTimedOut)?;
        let (connection, started) = (Some(self.acquire().await?), Instant::now());
        Ok(Reader { database: self, connection, busy: false, in_snapshot: false, started, _turn: turn })
    }

    async fn acquire(&self) -> Result<Pooled, sqlx::Error> {
        let span = info_span!("db.acquire", otel.status_code = Empty, "error.type" = Empty);
        let connection = self.pool.get().instrument(span.clone()).await;
        connection.inspect_err(|error| record(error, &span))
    }

    /// Takes the time of what is no single statement.
    pub(crate) fn record(&self, kind: Kind, elapsed: Duration) {
        self.timings.0[kind as usize].record(elapsed);
    }

    /// A connection beside the pool.
    pub(crate) async fn connect(&self) -> Result<MySqlConnection, sqlx::Error> {
        timeout(self.pool.deadline() + GRACE, self.pool.connect()).await.unwrap_or_else(|_| Err(no_answer()))
    }

    /// Runs a statement apart from the pool.
    pub(crate) async fn ping(&self, statement: &Statement<'_>) -> Result<Vec<MySqlRow>, sqlx::Error> {
        let mut apart = self.apart.lock().await;
        if let Some(mut connection) = apart.take()
            && let Ok(rows) = self.answer(statement, &mut connection).await
        {
            *apart = Some(connection);
            return Ok(rows);
        }
        // There was none, or it broke: the server may have restarted since.
        let mut connection = self.connect().await?;
        let rows = self.answer(statement, &mut connection).await?;
        *apart = Some(connection);
        Ok(rows)
    }

    /// The statement's rows, unless nothing answers any more. A connection that has given none is of no more use.
    pub(crate) async fn answer(
        &self,
        statement: &Statement<'_>,
        connection: &mut MySqlConnection,
    ) -> Result<Vec<MySqlRow>, sqlx::Error> {
        timeout(self.pool.deadline() + GRACE, statement.fetch(connection))
            .await
            .unwrap_or_else(|_| Err(no_answer()))
    }
}

fn no_answer() -> sqlx::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no answer in time").into()
}

/// A read is tried again where its connection broke; not where nothing answered, which would only take as long again.
pub(crate) fn may_succeed_again(error: &sqlx::Error) -> bool {
    let is_timeout = matches!(error, sqlx::Error::Io(error) if error.kind() == io::ErrorKind::TimedOut);
    is_transient(error) && !is_timeout
}

/// One call's connection.
pub(crate) struct Reader<'c> {
    database: &'c Database,
    /// Empty once it was found of no more use, until there is another.
    connection: Option<Pooled>,
    /// Something is under way on it. If this is dropped then, the connection is closed: the next call must neither wait for
    /// that nor find itself in somebody else's transaction.
    busy: bool,
    /// A transaction is open: what is read is all of one moment.
    in_snapshot: bool,
    /// When the call got its turn.
    started: Instant,
    // Ends after the connection has gone back, unless a transaction has to be ended first.
    _turn: Turn<'c>,
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
        // Each statement has the session's deadline: so none begins after the call's.
        if self.is_late() {
            return Err(no_answer());
        }
        let mut result = self.fetch_once(statement).await;
        // Of a snapshot that is lost the other statements have to be read again too.
        if let Err(error) = &result
            && !self.in_snapshot
            && may_succeed_again(error)
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
        let result = database.answer(statement, self.begin().await?).await;
        // What the server has refused or stopped leaves its connection as it was. Any other failure breaks it, and after a
        // timeout its answer may still come, and must not be taken for another's.
        self.busy = result.as_ref().is_err_and(|error| error.as_database_error().is_none());
        result
    }

    /// What is read from here on is all of one moment, that of this first statement, which
    /// [begins a transaction](Statement::begin_snapshot). No read of it is tried again alone: where the
    /// [connection broke](may_succeed_again), all of them have to be. Unless it is [ended](Self::end_snapshot) before, that goes
    /// on until the reader is dropped, and nobody waits for its end then.
    pub(crate) async fn begin_snapshot(
        &mut self,
        first: &Statement<'_>,
    ) -> Result<Vec<MySqlRow>, sqlx::Error> {
        self.in_snapshot = true;
        self.fetch(first).await
    }

    /// What is read from here on is of another moment.
    pub(crate) async fn end_snapshot(&mut self) {
        self.in_snapshot = false;
        if self.busy {
            self.discard();
        } else if let Some(connection) = self.connection.take() {
            self.connection = Snapshot(Some(connection)).end().await;
        }
    }

    pub(crate) fn server(&self) -> Server {
        self.database.pool.server()
    }

    /// After this the server stops a statement.
    pub(crate) fn deadline(&self) -> Duration {
        self.database.pool.deadline()
    }

    /// The call has had all its time.
    pub(crate) fn is_late(&self) -> bool {
        self.started.elapsed() > self.deadline()
    }

    /// The connection, for as long as [`end`](Self::end) is not called.
    pub(crate) async fn begin(&mut self) -> Result<&mut MySqlConnection, sqlx::Error> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.database.acquire().await?,
        };
        self.busy = true;
        Ok(self.connection.insert(connection))
    }

    /// Nothing is under way any more: the next call may have the connection.
    pub(crate) fn end(&mut self) {
        self.busy = false;
    }

    /// Finds a connection that answers. A server that restarted has broken every idle one, and the pool hands each out
    /// untested once.
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
        let Some(connection) = self.connection.take() else { return };
        if self.busy {
            drop(Pooled::take(connection));
        } else if self.in_snapshot {
            let snapshot = Snapshot(Some(connection));
            // Without a runtime it is closed.
            if let Ok(runtime) = Handle::try_current() {
                runtime.spawn(snapshot.end());
            }
        }
    }
}

/// A connection in a transaction. It is closed, and the transaction with it, unless that is ended.
struct Snapshot(Option<Pooled>);

impl Snapshot {
    /// The connection as it was before, if the server answers.
    async fn end(mut self) -> Option<Pooled> {
        let commit = sqlx::raw_sql("COMMIT").execute(&mut **self.0.as_mut()?);
        let is_ended = timeout(GRACE, commit).await.is_ok_and(|answer| answer.is_ok());
        self.0.take_if(|_| is_ended)
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        drop(self.0.take().map(Pooled::take));
    }
}
