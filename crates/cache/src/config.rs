use std::time::Duration;

use farmlokal_redis::RedisConfig;

/// Settings of a [`Cache`](crate::Cache).
#[derive(Clone, Debug)]
pub struct CacheConfig {
    /// Where Redis is and how long it may take.
    pub redis: RedisConfig,
    /// How long an entry is served without asking the database again. Default 60 s.
    pub fresh: Duration,
    /// How long after that an entry may still be served if the database fails. Zero switches it off.
    /// Default 300 s.
    pub stale: Duration,
    /// The in-process layer; `None` switches it off. On by default.
    pub in_process: Option<InProcessConfig>,
}

impl CacheConfig {
    /// The defaults for the Redis at `url`.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            redis: RedisConfig::new(url),
            fresh: Duration::from_mins(1),
            stale: Duration::from_mins(5),
            in_process: Some(InProcessConfig::default()),
        }
    }
}

/// The in-process layer.
#[derive(Clone, Debug)]
pub struct InProcessConfig {
    /// The longest that an entry stays. Default 5 s.
    pub ttl: Duration,
    /// The most that all entries may weigh, in bytes: [`Value::weight`](crate::Value::weight), the key, and 200 for each.
    /// Default 64 MiB.
    pub capacity: u64,
}

impl Default for InProcessConfig {
    fn default() -> Self {
        Self { ttl: Duration::from_secs(5), capacity: 64 << 20 }
    }
}
