use std::{fmt, time::Duration};

use redis::{Client, ConnectionAddr, IntoConnectionInfo, ProtocolVersion, RedisError, io::tcp::TcpSettings};

/// The longest that making a connection may take. No request waits for it.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How to reach Redis.
#[derive(Clone)]
pub struct RedisConfig {
    /// `redis://` or `rediss://`, with user name, password and database number where needed.
    pub url: String,
    /// The longest that one operation of a request may take; above zero. Default 100 ms.
    pub timeout: Duration,
}

impl RedisConfig {
    /// The defaults for the Redis at `url`.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), timeout: Duration::from_millis(100) }
    }
}

/// Leaves the URL out: it may hold a password.
impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConfig").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// A Redis URL that cannot be parsed. The message does not repeat it: it may hold a password.
#[derive(Debug, thiserror::Error)]
#[error("the Redis URL is not valid: {0}")]
pub struct InvalidUrl(String);

impl From<RedisError> for InvalidUrl {
    fn from(error: RedisError) -> Self {
        Self(error.detail().unwrap_or("malformed").to_owned())
    }
}

/// Parses the URL; connects to nothing.
///
/// # Errors
/// A URL that is none of Redis's.
pub fn client(config: &RedisConfig, protocol: ProtocolVersion) -> Result<Client, InvalidUrl> {
    let info = config.url.as_str().into_connection_info()?;
    if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
        // An error says that the program has already chosen one.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    let settings = info.redis_settings().clone().set_protocol(protocol);
    let info = info.set_redis_settings(settings).set_tcp_settings(TcpSettings::default().set_nodelay(true));
    Ok(Client::open(info)?)
}
