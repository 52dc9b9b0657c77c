//! A connection to Redis that no request has to wait for: while Redis is slow or gone, operations on it are skipped at
//! once, and a task of its own connects again.

mod backoff;
mod config;
mod connection;
mod metrics;

pub use backoff::Backoff;
pub use config::{CONNECT_TIMEOUT, ConfigError, RedisConfig, client};
pub use connection::{Connection, is_lost};
pub use metrics::describe_metrics;
