use std::time::Duration;

use farmlokal_redis::RedisConfig;

/// Settings of a [`Cache`](crate::Cache).
#[derive(Clone, Debug)]
pub struct CacheConfig {
    /// Where Redis is and how long it may take.
    pub redis: RedisConfig,
    /// How long an entry is served without asking the database again; above zero.
    pub fresh: Duration,
    /// How long after that an entry may still be served if the database fails. Zero switches it off.
    pub stale: Duration,
    /// The in-process layer.
    pub in_process: InProcessConfig,
}

/// The in-process layer.
#[derive(Clone, Debug)]
pub struct InProcessConfig {
    /// Whether it is used.
    pub enabled: bool,
    /// The longest that an entry stays; above zero.
    pub ttl: Duration,
    /// The most that all entries may weigh, in bytes: [`Value::weight`](crate::Value::weight), the key, and 200 for each.
    pub capacity: u64,
}
