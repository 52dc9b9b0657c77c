//! The `products:*` cache: an in-process layer over Redis over the database, with flushes that leave nothing
//! stale behind. `docs/caching.md` explains the protocol.

mod cache;
mod config;
mod entry;
mod flush;
mod in_process;
mod keys;
mod lookup;
mod metrics;
mod redis_tier;
mod server_identity;
mod single_flight;
mod subscription;

pub use cache::{Cache, RedisState};
pub use config::CacheConfig;
pub use farmlokal_redis::{InvalidUrl, RedisConfig};
pub use flush::{FlushError, Flushed, Flusher};
pub use keys::Key;
pub use lookup::{Lookup, Source, Value};
pub use metrics::describe_metrics;
