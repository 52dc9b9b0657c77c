//! Connections, kept open between calls.
//!
//! Not sqlx's own pool, which pings a connection whenever it comes back: a round trip to the database for each query, which no
//! option switches off (`return_to_pool` in sqlx-core 0.9; <https://github.com/transact-rs/sqlx/pull/4363> would only bound
//! it). Here a broken connection shows at its next use, and reads are tried again ([`Reader`](crate::reader::Reader)).

use std::io;
use std::time::{Duration, Instant};

use deadpool::{
    Runtime, Status,
    managed::{self, Metrics, Object, PoolError, RecycleError, RecycleResult, TimeoutType},
};
use metrics::{Counter, counter};
use sqlx::{Connection as _, MySqlConnection, mysql::MySqlConnectOptions};
use tokio::{sync::watch, time::timeout};

use crate::{
    config::{Dialect, connect, set},
    metrics::QUEUE_REFUSED,
};

/// An older connection is replaced, so that all end up at the server that its name stands for now.
const LONGEST_LIFE: Duration = Duration::from_mins(30);
/// A connection that was idle for longer is replaced too, before `MySQL` closes it by the session's `wait_timeout`.
pub(crate) const LONGEST_IDLE: Duration = Duration::from_secs(45);
/// How long it may take to close connections: a server that hangs never confirms it.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Calls that wait for each connection at the most. A page takes the database about 0.5 ms, so the last of them waits 130 ms
/// where all are pages.
pub(crate) const WAITING_PER_CONNECTION: usize = 256;

/// Connections, and the admission queue before them, which is bounded by a number of calls and by time.
pub(crate) struct Pool {
    connections: managed::Pool<Connector>,
    /// Calls that got no connection.
    pub(crate) refused: Counter,
}

/// A connection of the pool. It goes back when this is dropped.
pub(crate) type Pooled = Object<Connector>;

/// Opens connections.
pub(crate) struct Connector {
    pub(crate) options: MySqlConnectOptions,
    /// How the session of each is set.
    pub(crate) settings: fn(Dialect, Duration) -> String,
    /// After this the server stops a statement, as far as it can; see [`write_settings`](crate::config::write_settings).
    pub(crate) deadline: Duration,
    /// Opening a connection may take so long.
    pub(crate) connect_timeout: Duration,
    /// A connection from before is replaced.
    pub(crate) renewed: watch::Sender<Option<Instant>>,
}

impl Pool {
    /// Opens nothing yet. A call waits for a connection for up to `queue_timeout`, in the order in which they come.
    pub(crate) fn new(connector: Connector, size: u32, queue_timeout: Duration) -> Result<Pool, sqlx::Error> {
        let connections = managed::Pool::builder(connector)
            .max_size(size.max(1) as usize)
            .wait_timeout(Some(queue_timeout))
            .runtime(Runtime::Tokio1)
            .build();
        let connections = connections.map_err(|error| sqlx::Error::Configuration(error.into()))?;
        Ok(Pool { connections, refused: counter!(QUEUE_REFUSED) })
    }

    pub(crate) async fn get(&self) -> Result<Pooled, sqlx::Error> {
        let Status { waiting, max_size, .. } = self.status();
        let connection = if waiting < max_size.max(1) * WAITING_PER_CONNECTION {
            self.connections.get().await
        } else {
            Err(PoolError::Timeout(TimeoutType::Wait))
        };
        connection.map_err(|error| match error {
            PoolError::Backend(error) => error,
            PoolError::Timeout(_) => {
                self.refused.increment(1);
                sqlx::Error::PoolTimedOut
            }
            // What else there is needs a hook, or no runtime.
            _ => sqlx::Error::PoolClosed,
        })
    }

    /// A connection beside the pool, while that is open.
    pub(crate) async fn connect(&self) -> Result<MySqlConnection, sqlx::Error> {
        if self.connections.is_closed() {
            return Err(sqlx::Error::PoolClosed);
        }
        self.connections.manager().connect().await
    }

    /// After this the server stops a statement, as far as it can.
    pub(crate) fn deadline(&self) -> Duration {
        self.connections.manager().deadline
    }

    pub(crate) fn status(&self) -> Status {
        self.connections.status()
    }

    /// Opens no more, and closes those that nobody uses.
    pub(crate) async fn close(&self) {
        let idle = self.connections.retain(|_, _| false).removed;
        self.connections.close();
        let closing = async {
            for connection in idle {
                // A connection that is broken is closed already.
                let _ = connection.close().await;
            }
        };
        let _ = timeout(CLOSE_TIMEOUT, closing).await;
    }
}

impl Connector {
    async fn connect(&self) -> Result<MySqlConnection, sqlx::Error> {
        // On the heap: four kilobytes of state that every future around it would carry, and that a query rarely needs.
        let connecting = Box::pin(async {
            let (mut connection, dialect) = connect(&self.options).await?;
            set(&mut connection, &(self.settings)(dialect, self.deadline)).await?;
            Ok(connection)
        });
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, "no connection in time");
        timeout(self.connect_timeout, connecting).await.map_err(late)?
    }
}

impl managed::Manager for Connector {
    type Type = MySqlConnection;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<MySqlConnection, sqlx::Error> {
        let renewed = *self.renewed.borrow();
        let connection = self.connect().await?;
        // It may have reached the server of before.
        if renewed == *self.renewed.borrow() { Ok(connection) } else { self.connect().await }
    }

    async fn recycle(&self, _: &mut MySqlConnection, metrics: &Metrics) -> RecycleResult<sqlx::Error> {
        let is_old = metrics.age() > LONGEST_LIFE
            || metrics.last_used() > LONGEST_IDLE
            || Some(metrics.created) < *self.renewed.borrow();
        if is_old { Err(RecycleError::message("old")) } else { Ok(()) }
    }
}
