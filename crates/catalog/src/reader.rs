//! One call's connection: reads through it are measured, and tried once more if it breaks.

use std::{
    io,
    time::{Duration, Instant},
};

use metrics::{Histogram, histogram};
use sqlx::{Connection as _, MySql, MySqlConnection, MySqlPool, mysql::MySqlRow, pool::PoolConnection};
use tokio::{sync::Mutex, time::timeout};
use tracing::{Instrument as _, field::Empty, info_span};

use crate::{
    error::{is_transient, record},
    gate::{Full, Gate, Turn},
    metrics::QUERY_DURATION,
    statement::{Kind, Statement},
};

/// For so long beyond a statement's own deadline its answer is waited for. Where nothing answers any more, be it a server
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
    pool: MySqlPool,
    timings: Timings,
    apart: Mutex<Option<MySqlConnection>>,
}

impl Database {
    /// Calls wait for up to `patience` for their turn.
    pub(crate) fn new(pool: MySqlPool, patience: Duration) -> Database {
        let gate = Gate::new(pool.options().get_max_connections() as usize, patience);
        Database { gate, pool, timings: Timings::new(), apart: Mutex::new(None) }
    }

    pub(crate) fn pool(&self) -> &MySqlPool {
        &self.pool
    }

    pub(crate) async fn reader(&self) -> Result<Reader<'_>, sqlx::Error> {
        let turn = self.gate.enter().await.map_err(|Full| sqlx::Error::PoolTimedOut)?;
        Ok(Reader { database: self, connection: self.acquire().await?, closes: false, _turn: turn })
    }

    /// A pool goes on trying a server that it cannot connect to until its time is up.
    async fn acquire(&self) -> Result<PoolConnection<MySql>, sqlx::Error> {
        let span = info_span!("db.acquire", otel.status_code = Empty, "error.type" = Empty);
        match self.pool.acquire().instrument(span.clone()).await {
            Err(error) => {
                record(&error, &span);
                let no_connection = matches!(error, sqlx::Error::PoolTimedOut) && self.has_room();
                let timed_out = || io::Error::new(io::ErrorKind::TimedOut, "no connection in time").into();
                Err(if no_connection { timed_out() } else { error })
            }
            connection => connection,
        }
    }

    /// Takes the time of what is no single statement.
    pub(crate) fn record(&self, kind: Kind, elapsed: Duration) {
        self.timings.0[kind as usize].record(elapsed);
    }

    fn has_room(&self) -> bool {
        self.pool.size() < self.pool.options().get_max_connections()
    }

    /// Runs a statement apart from the pool.
    pub(crate) async fn ping(&self, statement: &Statement<'_>) -> Result<Vec<MySqlRow>, sqlx::Error> {
        let mut apart = self.apart.lock().await;
        if let Some(mut connection) = apart.take()
            && let Ok(rows) = statement.fetch(&mut connection).await
        {
            *apart = Some(connection);
            return Ok(rows);
        }
        // There was none, or it broke: the server may have restarted since.
        let mut connection = MySqlConnection::connect_with(&self.pool.connect_options()).await?;
        let rows = statement.fetch(&mut connection).await?;
        *apart = Some(connection);
        Ok(rows)
    }
}

/// Nothing answered: asking again would only take as long again.
fn is_timeout(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(error) if error.kind() == io::ErrorKind::TimedOut)
}

/// One call's connection.
pub(crate) struct Reader<'c> {
    database: &'c Database,
    connection: PoolConnection<MySql>,
    closes: bool,
    // Ends after the connection has gone back.
    _turn: Turn<'c>,
}

/// The pool tests a connection that comes back, and waits for its answer as long as there is none: a server that stands
/// still, or a network that swallows all, would take one connection after the other out of the pool, for as long as TCP
/// hopes. Given up, it is closed, and its place in the pool is free.
impl Drop for Reader<'_> {
    fn drop(&mut self) {
        if self.closes {
            self.connection.close_on_drop();
        } else {
            tokio::spawn(timeout(GRACE, self.connection.return_to_pool()));
        }
    }
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
        if let Err(error) = &result
            && is_transient(error)
            && !is_timeout(error)
        {
            tracing::debug!(%error, statement = statement.kind.label(), "reading again");
            self.replace_broken().await?;
            result = self.fetch_once(statement).await;
        }
        self.database.record(statement.kind, started.elapsed());
        result
    }

    async fn fetch_once(&mut self, statement: &Statement<'_>) -> Result<Vec<MySqlRow>, sqlx::Error> {
        let limit = statement.deadline + GRACE;
        let Ok(result) = timeout(limit, statement.fetch(&mut self.connection)).await else {
            // Its answer may still come, and must not be taken for another's.
            self.discard();
            return Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time").into());
        };
        result
    }

    /// A server that restarted has broken every idle connection, and the pool hands each out untested once.
    pub(crate) async fn replace_broken(&mut self) -> Result<(), sqlx::Error> {
        for _ in 0..=self.database.pool.options().get_max_connections() {
            // Until it has answered, nobody gets it: this call may end at any of these waits.
            self.discard();
            if timeout(GRACE, self.connection.ping()).await.is_ok_and(|answer| answer.is_ok()) {
                self.closes = false;
                return Ok(());
            }
            self.connection.close_on_drop();
            self.connection = self.database.acquire().await?;
            self.closes = false;
        }
        Ok(())
    }

    /// Closes the connection at the end of this call, instead of giving it back to the pool.
    pub(crate) fn discard(&mut self) {
        self.closes = true;
    }

    pub(crate) fn connection(&mut self) -> &mut sqlx::MySqlConnection {
        &mut self.connection
    }
}
