//! One connection that carries the operations of many requests at once.

use std::{
    future::ready,
    io,
    pin::Pin,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use metrics::{Counter, Gauge, counter, describe_counter, describe_gauge, gauge};
use redis::{
    AsyncConnectionConfig, Client, ProtocolVersion, RedisError, RedisResult, aio::MultiplexedConnection,
};
use tokio::time::{sleep, timeout};

use crate::{
    Attempts, InvalidUrl, RedisConfig,
    config::{CONNECT_TIMEOUT, client, explain},
};

const UP: &str = "farmlokal_redis_up";
const ERRORS: &str = "farmlokal_redis_errors_total";

/// How often the connection is tested. Together with [`PING_TIMEOUT`] it bounds the time after which a Redis that
/// hangs is skipped: less than a second.
const PING_EVERY: Duration = Duration::from_millis(250);
/// How long the answer may take.
const PING_TIMEOUT: Duration = Duration::from_millis(700);

/// What every new connection does before anybody uses it.
type Setup = fn(MultiplexedConnection) -> Pin<Box<dyn Future<Output = RedisResult<()>> + Send>>;

/// Gives the metrics recorder the help text of every metric of this crate. Call it once, at start.
pub fn describe_metrics() {
    describe_gauge!(UP, "1 if Redis answers on this connection (cache, shared), 0 if requests skip it");
    describe_counter!(ERRORS, "Failed Redis operations of requests, timeouts included, by connection");
}

async fn within<T>(limit: Duration, operation: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    timeout(limit, operation).await.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
}

/// A connection that is either there or not. An operation takes at most the configured time; one that takes longer
/// fails alone. Only [`supervise`](Self::supervise) decides that the connection is lost; from then on operations are
/// skipped until it has connected again.
pub struct Connection {
    client: Client,
    operation_timeout: Duration,
    live: RwLock<Option<MultiplexedConnection>>,
    /// Whether `live` has one. Read with every request, and the lock would be shared by all cores.
    up: AtomicBool,
    setup: Setup,
    name: &'static str,
    up_gauge: Gauge,
    errors: Counter,
}

impl Connection {
    /// Connects to nothing yet: [`supervise`](Self::supervise) does. `name` tells this connection from others in the
    /// metrics; install their recorder before.
    ///
    /// # Errors
    /// A URL that is none of Redis's.
    pub fn new(config: &RedisConfig, name: &'static str) -> Result<Arc<Self>, InvalidUrl> {
        Self::with_setup(config, name, |_| Box::pin(ready(Ok(()))))
    }

    /// Like [`new`](Self::new); `setup` runs on every new connection before anybody uses it, and fails it if it fails.
    ///
    /// # Errors
    /// A URL that is none of Redis's.
    pub fn with_setup(
        config: &RedisConfig,
        name: &'static str,
        setup: Setup,
    ) -> Result<Arc<Self>, InvalidUrl> {
        let up_gauge = gauge!(UP, "connection" => name);
        up_gauge.set(0.0);
        Ok(Arc::new(Self {
            client: client(config, ProtocolVersion::RESP2)?,
            operation_timeout: config.timeout,
            live: RwLock::new(None),
            up: AtomicBool::new(false),
            setup,
            name,
            up_gauge,
            errors: counter!(ERRORS, "connection" => name),
        }))
    }

    /// The longest that an operation may take.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.operation_timeout
    }

    /// Whether operations are sent to Redis now.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    /// Runs `operation` within the configured time; `None` if Redis is down, did not answer in time, or refused it.
    pub async fn run<T, Fut>(&self, operation: impl FnOnce(MultiplexedConnection) -> Fut) -> Option<T>
    where
        Fut: Future<Output = RedisResult<T>>,
    {
        let connection = self.live.read().unwrap_or_else(PoisonError::into_inner).clone()?;
        // One limit on the whole: a script that Redis has forgotten takes three round trips.
        match within(self.operation_timeout, operation(connection)).await {
            Ok(value) => Some(value),
            Err(error) => {
                self.errors.increment(1);
                tracing::debug!(%error, "a Redis operation failed");
                None
            }
        }
    }

    /// Keeps a connection up, for ever.
    pub async fn supervise(self: Arc<Self>) {
        let mut attempts = Attempts::new(self.name);
        loop {
            let error = match self.connect().await {
                Ok(connection) => {
                    self.set_live(Some(connection.clone()));
                    attempts.succeeded();
                    let error = self.wait_until_lost(connection).await;
                    self.set_live(None);
                    error
                }
                Err(error) => error,
            };
            attempts.failed(&error).await;
        }
    }

    /// Makes requests skip Redis. Stop [`supervise`](Self::supervise) before.
    pub fn close(&self) {
        self.set_live(None);
    }

    async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        // The limits are ours: one on all of this, one on each operation.
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        within(CONNECT_TIMEOUT, async {
            let connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
            (self.setup)(connection.clone()).await?;
            Ok(connection)
        })
        .await
        .map_err(explain)
    }

    /// On a closed socket the next PING fails at once.
    async fn wait_until_lost(&self, mut connection: MultiplexedConnection) -> RedisError {
        loop {
            if let Err(error) = within(PING_TIMEOUT, redis::cmd("PING").exec_async(&mut connection)).await {
                return error;
            }
            sleep(PING_EVERY).await;
        }
    }

    fn set_live(&self, connection: Option<MultiplexedConnection>) {
        let up = connection.is_some();
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = connection;
        self.up.store(up, Ordering::Relaxed);
        self.up_gauge.set(if up { 1.0 } else { 0.0 });
    }
}
