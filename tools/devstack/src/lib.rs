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
mod settings;
mod stack;
mod start;
mod supervise;

pub use database::Database;
pub use find::Flavour;
pub use partners::Partners;
pub use redis::Redis;
pub use stack::{RATE_LIMIT, RATE_LIMITS, Stack, StackOptions, cargo, remove_data, repository};
pub use supervise::{Supervised, run};
