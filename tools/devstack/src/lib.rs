//! Finds, starts and stops the database and the Redis that development and tests need.
//!
//! Every server is private: a port of its own on 127.0.0.1, a directory of its own, and a watchdog that stops it when
//! this process ends, however it ends.

mod database;
mod find;
mod install;
pub mod interrupt;
mod partners;
mod port;
mod redis;
mod redis_groups;
mod server;
mod settings;
mod stack;
mod supervise;
mod tls;

pub use database::Database;
pub use partners::Partners;
pub use port::free as free_port;
pub use redis::Redis;
pub use redis_groups::{RedisCluster, RedisSentinels};
pub use server::Server;
pub use stack::{RATE_LIMIT, RATE_LIMITS, Stack, cargo, repository};
pub use supervise::{Supervised, run};
pub use tls::{Authority, TlsFiles};
