//! One connection that carries the operations of many requests at once.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use redis::{
    AsyncConnectionConfig, Client, ProtocolVersion, RedisError, RedisResult, aio::MultiplexedConnection,
};
use tokio::{sync::watch, time::timeout};

use crate::{
    Backoff, ConfigError, RedisConfig,
    config::{CONNECT_TIMEOUT, client},
    metrics::ConnectionMetrics,
};

/// How often an idle connection is tried, so that no request has to find out.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// Operations that may wait to be written to the connection; further ones wait for room. More than there are requests in
/// flight by default: room is given to whoever waits longest, and a task that gets it on a busy thread keeps it until its turn
/// comes. With the client's 50 places, some thousand operations a second were all that got through then, and the others' time
/// was up before they were sent.
const PIPELINE: usize = 8_192;

/// What every new connection does before anybody uses it.
type Setup =
    dyn Fn(MultiplexedConnection) -> Pin<Box<dyn Future<Output = RedisResult<()>> + Send>> + Send + Sync;

/// True if the connection is of no more use, as opposed to a command that the server refused.
#[must_use]
pub fn is_lost(error: &RedisError) -> bool {
    error.is_io_error() || error.is_unrecoverable_error()
}

async fn within<T>(limit: Duration, operation: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    timeout(limit, operation).await.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
}

#[derive(Clone)]
struct Live {
    connection: MultiplexedConnection,
    number: u64,
}

/// A connection that is either there or not: an operation on it takes at most the configured time, and the first
/// that fails makes all later ones skip Redis until [`Connection::supervise`] has connected again.
pub struct Connection {
    client: Client,
    operation_timeout: Duration,
    live: watch::Sender<Option<Live>>,
    /// Whether `live` has one: read with every request, and `live` has a lock that all cores would share.
    up: AtomicBool,
    setup: Option<Box<Setup>>,
    metrics: ConnectionMetrics,
}

impl Connection {
    /// Connects to nothing yet: [`supervise`](Self::supervise) does. `name` tells this connection from others in the
    /// metrics; install their recorder before.
    ///
    /// # Errors
    /// A setting that cannot work.
    pub fn new(config: &RedisConfig, name: &'static str) -> Result<Arc<Self>, ConfigError> {
        Ok(Arc::new(Self::build(config, name, None)?))
    }

    /// Like [`new`](Self::new); `setup` runs on every new connection before anybody uses it, and fails it if it fails.
    ///
    /// # Errors
    /// A setting that cannot work.
    pub fn with_setup<F, Fut>(
        config: &RedisConfig,
        name: &'static str,
        setup: F,
    ) -> Result<Arc<Self>, ConfigError>
    where
        F: Fn(MultiplexedConnection) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = RedisResult<()>> + Send + 'static,
    {
        let setup: Box<Setup> = Box::new(move |connection| Box::pin(setup(connection)));
        Ok(Arc::new(Self::build(config, name, Some(setup))?))
    }

    fn build(
        config: &RedisConfig,
        name: &'static str,
        setup: Option<Box<Setup>>,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            client: client(config, ProtocolVersion::RESP2)?,
            operation_timeout: config.timeout,
            live: watch::Sender::new(None),
            up: AtomicBool::new(false),
            setup,
            metrics: ConnectionMetrics::new(name),
        })
    }

    /// Whether operations reach Redis now.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    /// Runs `operation` within the configured time; `None` if Redis is down or slow, or refused it.
    pub async fn run<T, Fut>(&self, operation: impl FnOnce(MultiplexedConnection) -> Fut) -> Option<T>
    where
        Fut: Future<Output = RedisResult<T>>,
    {
        let Live { connection, number } = self.live.borrow().clone()?;
        // One limit on the whole: a script that Redis has forgotten takes three round trips.
        let error = match within(self.operation_timeout, operation(connection)).await {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        self.metrics.errors.increment(1);
        if is_lost(&error) {
            self.drop_connection(number, &error);
        } else {
            tracing::debug!(%error, "Redis refused a command");
        }
        None
    }

    /// Keeps a connection up, for ever.
    pub async fn supervise(self: Arc<Self>) {
        let mut backoff = Backoff::new();
        for number in 0.. {
            let connected = match self.connect().await {
                Ok(connection) => {
                    let at = Instant::now();
                    tracing::info!("connected to Redis");
                    self.change(|live| {
                        *live = Some(Live { connection: connection.clone(), number });
                        true
                    });
                    self.wait_until_lost(connection, number).await;
                    Some(at)
                }
                Err(error) => {
                    tracing::debug!(%error, "Redis is not reachable");
                    None
                }
            };
            backoff.wait(connected).await;
        }
    }

    /// Makes requests skip Redis.
    pub fn close(&self) {
        self.change(|live| live.take().is_some());
    }

    async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        // The limits are ours: one on all of this, one on each operation.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_pipeline_buffer_size(PIPELINE);
        within(CONNECT_TIMEOUT, async {
            let connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
            if let Some(setup) = &self.setup {
                setup(connection.clone()).await?;
            }
            Ok(connection)
        })
        .await
    }

    async fn wait_until_lost(&self, connection: MultiplexedConnection, number: u64) {
        let mut live = self.live.subscribe();
        loop {
            tokio::select! {
                _ = live.wait_for(Option::is_none) => return,
                () = tokio::time::sleep(CHECK_EVERY) => {}
            }
            let mut connection = connection.clone();
            let ping = redis::cmd("PING");
            if let Err(error) = within(self.operation_timeout, ping.exec_async(&mut connection)).await {
                return self.drop_connection(number, &error);
            }
        }
    }

    /// Many operations may fail on one connection: only the first counts, and none takes down its successor.
    fn drop_connection(&self, number: u64, error: &RedisError) {
        if self.change(|live| live.take_if(|live| live.number == number).is_some()) {
            tracing::warn!(%error, "Redis does not answer: requests go on without it");
        }
    }

    /// Changes what is live, and all that says so, at once. Returns what `change` does: whether it did.
    fn change(&self, change: impl FnOnce(&mut Option<Live>) -> bool) -> bool {
        self.live.send_if_modified(|live| {
            let changed = change(live);
            self.up.store(live.is_some(), Ordering::Relaxed);
            self.metrics.up.set(if live.is_some() { 1.0 } else { 0.0 });
            changed
        })
    }
}
