use std::{error::Error, fmt, io, sync::Arc, time::Duration};

use redis::io::tcp::TcpSettings;
use redis::{Client, ConnectionAddr, IntoConnectionInfo, RedisError};

/// The longest that making a connection may take. No request waits for it.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How to reach Redis.
#[derive(Clone)]
pub struct RedisConfig {
    /// `redis://` or `rediss://`, with user name, password and database number where needed; for several servers see
    /// [`nodes`](crate::nodes()).
    pub url: String,
    /// Where it is set, the connection is TLS whatever the URL says. Without a CA of its own the public ones count.
    pub tls: Option<redis::TlsCertificates>,
    /// The longest that one operation of a request may take; above zero. Default 100 ms.
    pub timeout: Duration,
}

impl RedisConfig {
    /// The defaults for the Redis at `url`.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), tls: None, timeout: Duration::from_millis(100) }
    }
}

/// Leaves the URL out: it may hold a password.
impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConfig").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// A Redis URL that cannot be parsed, or has no TLS. The message does not repeat it: it may hold a password.
#[derive(Debug, thiserror::Error)]
#[error("the Redis URL is not valid: {0}")]
pub struct InvalidUrl(pub(crate) String);

impl From<RedisError> for InvalidUrl {
    fn from(error: RedisError) -> Self {
        Self(error.to_string())
    }
}

/// Parses the URL of one server.
pub(crate) fn client(url: &str, tls: Option<&redis::TlsCertificates>) -> Result<Client, InvalidUrl> {
    let mut info = url.into_connection_info()?;
    if let (Some(_), ConnectionAddr::Tcp(host, port)) = (tls, info.addr()) {
        let (host, port) = (host.clone(), *port);
        info = info.set_addr(ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None });
    }
    if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
        // An error says that the program has already chosen one.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    let info = info.set_tcp_settings(TcpSettings::default().set_nodelay(true));
    Ok(match tls {
        Some(certificates) => Client::build_with_tls(info, certificates.clone())?,
        None => Client::open(info)?,
    })
}

/// Adds the settings to look at to the error of a connection that cannot be made, where they may be wrong.
#[must_use]
pub fn explain(error: RedisError) -> RedisError {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<Arc<dyn Error + Send + Sync>>());
    let cause = cause.and_then(|cause| cause.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref());
    let settings = match cause {
        Some(rustls::Error::InvalidCertificate(_)) => "REDIS_TLS_CA or REDIS_HOST",
        Some(rustls::Error::AlertReceived(_)) => "REDIS_TLS_CERT",
        // Who speaks TLS to a Redis without it gets no answer; in the other case Redis hangs up.
        _ if error.is_timeout() || error.is_connection_dropped() && !error.is_connection_refusal() => {
            "REDIS_HOST or REDIS_TLS"
        }
        _ => return error,
    };
    let kind = if error.is_timeout() { io::ErrorKind::TimedOut } else { io::ErrorKind::Other };
    io::Error::new(kind, format!("{error}; see {settings}")).into()
}
