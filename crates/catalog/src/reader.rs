//! One call's connection: reads through it are measured, and tried once more if it breaks.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use metrics::{Histogram, histogram};
use sqlx::{Connection as _, MySql, MySqlConnection, MySqlPool, mysql::MySqlRow, pool::PoolConnection};

use crate::{
    error::is_transient,
    statement::{Kind, Statement},
};

/// How long a server that was gone may take to answer.
const PROBE_TIMEOUT: Duration = Duration::from_millis(200);

/// Seconds that a statement of each kind takes, with its result: `farmlokal_db_query_duration_seconds`.
struct Timings([Histogram; Kind::ALL.len()]);

impl Timings {
    fn new() -> Timings {
        Timings(
            Kind::ALL
                .map(|kind| histogram!("farmlokal_db_query_duration_seconds", "statement" => kind.label())),
        )
    }
}

/// The pool, and whether the server was there when last asked.
pub(crate) struct Database {
    pool: MySqlPool,
    timings: Timings,
    down: AtomicBool,
}

impl Database {
    pub(crate) fn new(pool: MySqlPool) -> Database {
        Database { pool, timings: Timings::new(), down: AtomicBool::new(false) }
    }

    pub(crate) fn pool(&self) -> &MySqlPool {
        &self.pool
    }

    pub(crate) async fn reader(&self) -> Result<Reader<'_>, sqlx::Error> {
        Ok(Reader { database: self, connection: self.acquire().await? })
    }

    /// A pool goes on trying a server that refuses connections until its timeout. Once it was in vain, ask the server
    /// directly first, so that every further caller learns at once.
    async fn acquire(&self) -> Result<PoolConnection<MySql>, sqlx::Error> {
        if self.down.load(Ordering::Relaxed) {
            self.probe().await?;
        }
        match self.pool.acquire().await {
            Err(sqlx::Error::PoolTimedOut) if self.has_room() => {
                self.down.store(true, Ordering::Relaxed);
                self.probe().await?;
                Err(sqlx::Error::PoolTimedOut)
            }
            other => other,
        }
    }

    fn has_room(&self) -> bool {
        self.pool.size() < self.pool.options().get_max_connections()
    }

    async fn probe(&self) -> Result<(), sqlx::Error> {
        let options = self.pool.connect_options();
        let connected = tokio::time::timeout(PROBE_TIMEOUT, MySqlConnection::connect_with(&options)).await;
        let connection = connected.map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))??;
        self.down.store(false, Ordering::Relaxed);
        connection.close().await
    }
}

/// One call's connection.
pub(crate) struct Reader<'c> {
    database: &'c Database,
    connection: PoolConnection<MySql>,
}

impl Reader<'_> {
    pub(crate) async fn fetch(&mut self, statement: &Statement<'_>) -> Result<Vec<MySqlRow>, sqlx::Error> {
        let started = Instant::now();
        let mut result = statement.fetch(&mut self.connection).await;
        if let Err(error) = &result
            && is_transient(error)
        {
            tracing::debug!(%error, statement = statement.kind.label(), "reading again");
            self.replace_broken().await?;
            result = statement.fetch(&mut self.connection).await;
        }
        self.database.timings.0[statement.kind as usize].record(started.elapsed());
        result
    }

    /// A server that restarted has broken every idle connection, and the pool hands each out untested once.
    async fn replace_broken(&mut self) -> Result<(), sqlx::Error> {
        for _ in 0..=self.database.pool.options().get_max_connections() {
            if self.connection.ping().await.is_ok() {
                return Ok(());
            }
            self.connection.close_on_drop();
            self.connection = self.database.acquire().await?;
        }
        Ok(())
    }

    #[cfg(feature = "testing")]
    pub(crate) fn connection(&mut self) -> &mut sqlx::MySqlConnection {
        &mut self.connection
    }
}
