//! A connection to Redis that no request has to wait for: an operation takes a bounded time, and while Redis is gone
//! operations are skipped at once. A task of its own watches the connection and connects again.

mod attempts;
mod config;
mod connection;

pub use attempts::Attempts;
pub use config::{CONNECT_TIMEOUT, InvalidUrl, RedisConfig, client, explain};
pub use connection::{Connection, describe_metrics};
pub use redis::{ClientTlsConfig, TlsCertificates};
