//! The one connection that carries every request's Redis operations.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo, ProtocolVersion, RedisError,
    RedisResult, aio::MultiplexedConnection, io::tcp::TcpSettings,
};
use tokio::{sync::watch, time::timeout};

use crate::{
    ConfigError, RedisConfig, backoff::Backoff, flush::renew_generations, keys::SERVER_KEY,
    metrics::RedisMetrics,
};

/// The longest that making a connection may take. No request waits for it.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How often an idle connection is tried, so that no request has to find out.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// Parses the URL; connects to nothing.
pub(crate) fn client(config: &RedisConfig, protocol: ProtocolVersion) -> Result<Client, ConfigError> {
    let invalid = |error: RedisError| ConfigError::Url(error.detail().unwrap_or("malformed").to_owned());
    if config.timeout.is_zero() {
        return Err(ConfigError::Zero("the Redis timeout"));
    }
    let info = config.url.as_str().into_connection_info().map_err(invalid)?;
    if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
        // An error says that the program has already chosen one.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    let settings = info.redis_settings().clone().set_protocol(protocol);
    let info = info.set_redis_settings(settings).set_tcp_settings(TcpSettings::default().set_nodelay(true));
    Client::open(info).map_err(invalid)
}

/// True if the connection is of no more use, as opposed to a command that the server refused.
fn is_lost(error: &RedisError) -> bool {
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
pub(crate) struct Connection {
    client: Client,
    operation_timeout: Duration,
    live: watch::Sender<Option<Live>>,
    metrics: RedisMetrics,
}

impl Connection {
    pub(crate) fn new(config: &RedisConfig) -> Result<Arc<Self>, ConfigError> {
        Ok(Arc::new(Self {
            client: client(config, ProtocolVersion::RESP2)?,
            operation_timeout: config.timeout,
            live: watch::Sender::new(None),
            metrics: RedisMetrics::new(),
        }))
    }

    pub(crate) fn is_up(&self) -> bool {
        self.live.borrow().is_some()
    }

    /// Runs `operation`; `None` if Redis is down or the operation failed.
    pub(crate) async fn run<T, Fut>(&self, operation: impl FnOnce(MultiplexedConnection) -> Fut) -> Option<T>
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
    pub(crate) async fn supervise(self: Arc<Self>) {
        let mut backoff = Backoff::new();
        for number in 0.. {
            let connected = match self.connect().await {
                Ok(connection) => {
                    let at = Instant::now();
                    tracing::info!("connected to Redis");
                    self.metrics.up.set(1.0);
                    self.live.send_replace(Some(Live { connection: connection.clone(), number }));
                    self.wait_until_lost(connection, number).await;
                    Some(at)
                }
                Err(error) => {
                    self.metrics.up.set(0.0);
                    tracing::debug!(%error, "Redis is not reachable");
                    None
                }
            };
            backoff.wait(connected).await;
        }
    }

    /// Makes requests skip Redis.
    pub(crate) fn close(&self) {
        self.live.send_replace(None);
        self.metrics.up.set(0.0);
    }

    async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        // The limits are ours: one on all of this, one on each operation.
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        within(CONNECT_TIMEOUT, async {
            let mut connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
            adopt_server(&mut connection).await?;
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
        let dropped = self.live.send_if_modified(|live| live.take_if(|live| live.number == number).is_some());
        if dropped {
            self.metrics.up.set(0.0);
            tracing::warn!(%error, "Redis does not answer: requests go on without it");
        }
    }
}

/// Renews the generations if the server is not the one that they were made for.
///
/// A server that came back from a snapshot, or a replica that was promoted, may have lost the last flush and
/// still hold the entries from before it. Its `run_id` is a new one, so the first process to connect finds out,
/// and no process reads before it has looked.
async fn adopt_server(connection: &mut MultiplexedConnection) -> RedisResult<()> {
    let run_id = match redis::cmd("INFO").arg("server").query_async::<String>(connection).await {
        Ok(info) => info.lines().find_map(|line| line.strip_prefix("run_id:")).map(str::to_owned),
        Err(error) if is_lost(&error) => return Err(error),
        // Not permitted: every connection renews, which costs misses but nothing else.
        Err(_) => None,
    };
    let known: Option<String> = redis::cmd("GET").arg(SERVER_KEY).query_async(connection).await?;
    if run_id.is_some() && run_id == known {
        return Ok(());
    }
    renew_generations(connection).await?;
    redis::cmd("SET").arg(SERVER_KEY).arg(run_id.unwrap_or_default()).exec_async(connection).await
}
