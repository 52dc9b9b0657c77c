//! One connection that carries the operations of many requests at once.

use std::{
    future::ready,
    io,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::future::BoxFuture;
use metrics::{Counter, Gauge, counter, describe_counter, describe_gauge, gauge};
use redis::{AsyncConnectionConfig, Client, RedisError, RedisResult};
use tokio::time::{sleep, timeout};

use crate::{
    Attempts, InvalidUrl, Link, RECENT, RedisConfig, Servers,
    config::{CONNECT_TIMEOUT, explain},
};

const UP: &str = "farmlokal_redis_up";
const ERRORS: &str = "farmlokal_redis_errors_total";
const QUORUM: &str = "farmlokal_redis_sentinel_quorum";

/// How often the connection is tested. Together with [`PING_TIMEOUT`] it bounds the time after which a Redis that
/// hangs is skipped: less than a second.
const PING_EVERY: Duration = Duration::from_millis(250);
/// How long the answer may take.
const PING_TIMEOUT: Duration = Duration::from_millis(700);

/// What is done on every new connection before anybody uses it, with `true`. To a cluster, where redis-rs may connect to another
/// server unnoticed, it is done again with every test, with `false`. If it fails the connection is lost.
pub type Check = Box<dyn Fn(Link, bool) -> BoxFuture<'static, RedisResult<()>> + Send + Sync>;

/// Gives the metrics recorder the help text of every metric of this crate. Call it once, at start.
pub fn describe_metrics() {
    describe_gauge!(UP, "1 if Redis answers on this connection (cache, shared), 0 if requests skip it");
    describe_gauge!(QUORUM, "1 if a Redis Sentinel answers and could have a new primary elected, else 0");
    describe_counter!(ERRORS, "Failed Redis operations of requests, timeouts included, by connection");
}

pub(crate) async fn within<T>(limit: Duration, work: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    timeout(limit, work).await.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
}

/// A connection that is either there or not. An operation takes at most the configured time; one that takes longer
/// fails alone. Only [`supervise`](Self::supervise) decides that the connection is lost; from then on operations are
/// skipped until it has connected again.
pub struct Connection {
    servers: Arc<Servers>,
    operation_timeout: Duration,
    live: RwLock<Option<Link>>,
    /// Whether `live` has one. Read with every request, and the lock would be shared by all cores.
    up: AtomicBool,
    check: Check,
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
        Ok(Self::to(Servers::new(config)?, config.timeout, name, None))
    }

    /// Like [`new`](Self::new), to servers that others may use too, and with a check. An operation may take `limit`, above zero.
    #[must_use]
    pub fn to(servers: Arc<Servers>, limit: Duration, name: &'static str, check: Option<Check>) -> Arc<Self> {
        let up_gauge = gauge!(UP, "connection" => name);
        up_gauge.set(0.0);
        Arc::new(Self {
            servers,
            operation_timeout: limit,
            live: RwLock::new(None),
            up: AtomicBool::new(false),
            check: check.unwrap_or_else(|| Box::new(|_, _| Box::pin(ready(Ok(()))))),
            name,
            up_gauge,
            errors: counter!(ERRORS, "connection" => name),
        })
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
    pub async fn run<T, Fut>(&self, operation: impl FnOnce(Link) -> Fut) -> Option<T>
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
            self.watch().await;
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

    async fn connect(&self) -> RedisResult<Link> {
        // The limits are ours: one on all of this, one on each operation.
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let connect = |info| async move {
            Client::open(info)?.get_multiplexed_async_connection_with_config(&config).await
        };
        within(CONNECT_TIMEOUT, async {
            let link = self.servers.link(connect).await?;
            (self.check)(link.clone(), true).await?;
            Ok(link)
        })
        .await
        .map_err(explain)
    }

    /// On a closed socket the next test fails at once.
    async fn wait_until_lost(&self, mut link: Link) -> RedisError {
        loop {
            let test = async {
                // In a cluster, of all primaries.
                redis::cmd("PING").exec_async(&mut link).await?;
                if link.is_cluster() { (self.check)(link.clone(), false).await } else { Ok(()) }
            };
            if let (Err(error), ()) = tokio::join!(within(PING_TIMEOUT, test), self.watch()) {
                return error;
            }
            if let Err(error) = self.servers.check(link.switches) {
                return error;
            }
            sleep(PING_EVERY).await;
        }
    }

    async fn watch(&self) {
        if let Some(has_quorum) = self.servers.watch(RECENT).await {
            gauge!(QUORUM).set(f64::from(u8::from(has_quorum)));
        }
    }

    fn set_live(&self, connection: Option<Link>) {
        let up = connection.is_some();
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = connection;
        self.up.store(up, Ordering::Relaxed);
        self.up_gauge.set(if up { 1.0 } else { 0.0 });
    }
}
