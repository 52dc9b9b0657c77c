//! One call's connection: reads through it are measured, and tried once more if it breaks.

use std::time::Instant;

use metrics::{Histogram, histogram};
use sqlx::{Connection as _, MySql, MySqlPool, mysql::MySqlRow, pool::PoolConnection};

use crate::{
    error::is_transient,
    statement::{Kind, Statement},
};

/// Seconds that a statement of each kind takes, with its result: `farmlokal_db_query_duration_seconds`.
#[derive(Clone)]
pub(crate) struct Timings([Histogram; Kind::ALL.len()]);

impl Timings {
    pub(crate) fn new() -> Timings {
        Timings(
            Kind::ALL
                .map(|kind| histogram!("farmlokal_db_query_duration_seconds", "statement" => kind.label())),
        )
    }
}

pub(crate) struct Reader<'c> {
    pool: &'c MySqlPool,
    timings: &'c Timings,
    connection: PoolConnection<MySql>,
}

impl<'c> Reader<'c> {
    pub(crate) async fn acquire(
        pool: &'c MySqlPool,
        timings: &'c Timings,
    ) -> Result<Reader<'c>, sqlx::Error> {
        Ok(Reader { pool, timings, connection: pool.acquire().await? })
    }

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
        self.timings.0[statement.kind as usize].record(started.elapsed());
        result
    }

    /// A server that restarted has broken every idle connection, and the pool hands each out untested once.
    async fn replace_broken(&mut self) -> Result<(), sqlx::Error> {
        for _ in 0..=self.pool.options().get_max_connections() {
            if self.connection.ping().await.is_ok() {
                return Ok(());
            }
            self.connection.close_on_drop();
            self.connection = self.pool.acquire().await?;
        }
        Ok(())
    }

    #[cfg(feature = "testing")]
    pub(crate) fn connection(&mut self) -> &mut sqlx::MySqlConnection {
        &mut self.connection
    }
}
