#![allow(clippy::doc_markdown, reason = "the help texts are for terminals")]

use std::time::Duration;

use clap::Args;
use farmlokal_settings::{duration, nonzero_duration};

/// What is cached, where and for how long.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Cache")]
pub struct CacheConfig {
    /// How long a cached answer is fresh
    #[arg(long = "cache-ttl", env = "CACHE_TTL", value_name = "DURATION", default_value = "60s", value_parser = nonzero_duration)]
    pub fresh: Duration,
    /// How long beyond that it may still be served, marked as stale, while the database fails; 0s turns that off
    #[arg(long = "cache-stale-ttl", env = "CACHE_STALE_TTL", value_name = "DURATION", default_value = "300s", value_parser = duration)]
    pub stale: Duration,
    /// Keep hot answers in the process too
    #[arg(long = "local-cache", env = "LOCAL_CACHE", value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    pub in_process: bool,
    /// How long the process keeps them before it asks Redis again
    #[arg(long = "local-cache-ttl", env = "LOCAL_CACHE_TTL", value_name = "DURATION", default_value = "5s", value_parser = nonzero_duration)]
    pub in_process_ttl: Duration,
    /// Memory for them, in MiB
    #[arg(long = "local-cache-mib", env = "LOCAL_CACHE_MIB", value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    pub in_process_mib: u32,
    /// A Redis operation that takes longer counts as failed, and the request goes on without Redis
    #[arg(long, env = "REDIS_TIMEOUT", value_name = "DURATION", default_value = "100ms", value_parser = nonzero_duration)]
    pub redis_timeout: Duration,
}
