//! The cache against real Redis servers.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod changes;
mod failover;
mod fixture;
mod flush;
mod hit_ratio;
mod outages;
mod race;
mod shop;
mod single_flight;
mod stale;
mod urls;
