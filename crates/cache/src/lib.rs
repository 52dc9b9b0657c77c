//! The `products:*` cache: an in-process layer over Redis over the database, with flushes that leave nothing
//! stale behind. `docs/caching.md` explains the protocol.

mod adopt;
mod cache;
mod config;
mod entry;
mod flight;
mod flush;
mod keys;
mod local;
mod lookup;
mod metrics;
mod store;
mod subscription;

pub use cache::{Cache, RedisState};
pub use config::{CacheConfig, LocalConfig};
pub use farmlokal_redis::{ConfigError, RedisConfig};
pub use flush::{FlushError, Flushed, Flusher};
pub use lookup::{Lookup, Source, Value};
pub use metrics::describe_metrics;
