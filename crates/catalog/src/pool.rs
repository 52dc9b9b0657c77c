//! Connections, kept open between calls.
//!
//! Not sqlx's own pool, which pings a connection whenever it comes back: a round trip to the database for each query, which no
//! option switches off (`return_to_pool` in sqlx-core 0.9; <https://github.com/transact-rs/sqlx/pull/4363> would only bound
//! it). Here a broken connection shows at its next use, and reads are tried again ([`Reader`](crate::reader::Reader)).

use std::{io, time::Duration};

use deadpool::{
    Runtime, Status,
    managed::{self, Metrics, Object, PoolError, RecycleError, RecycleResult, TimeoutType, Timeouts},
};
use sqlx::{Connection as _, MySqlConnection, mysql::MySqlConnectOptions};

use crate::config::{prepare_events, prepare_reads, prepare_session};

/// An older connection is replaced, so that all end up at the server that its name stands for now.
const LONGEST_LIFE: Duration = Duration::from_mins(30);
/// A connection that was idle for longer is replaced too, before `MySQL` closes it by the session's `wait_timeout`.
pub(crate) const LONGEST_IDLE: Duration = Duration::from_secs(45);
/// How long it may take to close connections: a server that hangs never confirms it.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// What a connection is for, which decides how its session is prepared.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    Reads,
    Events,
}

pub(crate) struct Pool(managed::Pool<Connector>);

/// A connection of the pool. It goes back when this is dropped.
pub(crate) type Pooled = Object<Connector>;

/// Opens connections.
pub(crate) struct Connector {
    options: MySqlConnectOptions,
    purpose: Purpose,
    /// After this the server stops a statement, as far as it can; see [`prepare_events`].
    deadline: Duration,
}

impl Pool {
    /// Opens nothing yet. Opening a connection may take up to `connect_timeout`, and the server stops a statement after
    /// `deadline`.
    pub(crate) fn new(
        options: MySqlConnectOptions,
        purpose: Purpose,
        deadline: Duration,
        size: u32,
        connect_timeout: Duration,
    ) -> Result<Pool, sqlx::Error> {
        let timeouts = Timeouts { create: Some(connect_timeout), ..Timeouts::new() };
        let pool = managed::Pool::builder(Connector { options, purpose, deadline })
            .max_size(size.max(1) as usize)
            .timeouts(timeouts)
            .runtime(Runtime::Tokio1)
            .build();
        Ok(Pool(pool.map_err(|error| sqlx::Error::Configuration(error.into()))?))
    }

    pub(crate) async fn get(&self) -> Result<Pooled, sqlx::Error> {
        self.0.get().await.map_err(|error| match error {
            PoolError::Backend(error) => error,
            PoolError::Timeout(TimeoutType::Create) => {
                io::Error::new(io::ErrorKind::TimedOut, "no connection in time").into()
            }
            PoolError::Timeout(TimeoutType::Wait | TimeoutType::Recycle) => sqlx::Error::PoolTimedOut,
            PoolError::Closed => sqlx::Error::PoolClosed,
            PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => {
                sqlx::Error::Configuration("the pool of connections".into())
            }
        })
    }

    /// A connection beside the pool, while that is open.
    pub(crate) async fn connect(&self) -> Result<MySqlConnection, sqlx::Error> {
        if self.0.is_closed() {
            return Err(sqlx::Error::PoolClosed);
        }
        self.0.manager().connect().await
    }

    /// After this the server stops a statement, as far as it can.
    pub(crate) fn deadline(&self) -> Duration {
        self.0.manager().deadline
    }

    pub(crate) fn status(&self) -> Status {
        self.0.status()
    }

    /// Opens no more, and closes those that nobody uses.
    pub(crate) async fn close(&self) {
        let idle = self.0.retain(|_, _| false).removed;
        self.0.close();
        let closing = async {
            for connection in idle {
                // A connection that is broken is closed already.
                let _ = connection.close().await;
            }
        };
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, closing).await;
    }
}

impl Connector {
    async fn connect(&self) -> Result<MySqlConnection, sqlx::Error> {
        let mut connection = MySqlConnection::connect_with(&self.options).await?;
        let dialect = prepare_session(&mut connection).await?;
        match self.purpose {
            Purpose::Reads => prepare_reads(&mut connection, dialect, self.deadline).await?,
            Purpose::Events => prepare_events(&mut connection, dialect, self.deadline).await?,
        }
        Ok(connection)
    }
}

impl managed::Manager for Connector {
    type Type = MySqlConnection;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<MySqlConnection, sqlx::Error> {
        // On the heap: four kilobytes of state that every future around it would carry, and that a query rarely needs.
        Box::pin(self.connect()).await
    }

    async fn recycle(&self, _: &mut MySqlConnection, metrics: &Metrics) -> RecycleResult<sqlx::Error> {
        let is_old = metrics.age() > LONGEST_LIFE || metrics.last_used() > LONGEST_IDLE;
        if is_old { Err(RecycleError::message("old")) } else { Ok(()) }
    }
}
