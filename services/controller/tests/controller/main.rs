//! The controller as an operator meets it: the real binary, and, where there is a cluster to test on, a real API server.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod cluster;
mod definition;
mod failover;
mod process;
mod releases;
mod settings;
mod unreachable;
mod watch;
