//! A connection to Redis that no request has to wait for: an operation takes a bounded time, and while Redis is gone
//! operations are skipped at once. A task of its own watches the connection and connects again.

mod attempts;
mod config;
mod connection;
mod link;
mod nodes;
mod servers;

pub use attempts::Attempts;
pub use config::{CONNECT_TIMEOUT, InvalidUrl, RedisConfig, explain};
pub use connection::{Check, Connection, describe_metrics};
pub use link::{Link, is_redirect};
pub use nodes::{Nodes, nodes};
pub use redis::{ClientTlsConfig, TlsCertificates};
pub use servers::{RECENT, Servers};
