//! Rate limits for each client, over all replicas of a service, without a round trip for each request.
//!
//! A request passes [`limit`]. [`ClientAddress`] tells who its client is. The [`Limiter`] keeps an account for each
//! client and tells Redis every few requests what it has admitted; Redis adds up the replicas' reports and answers with the
//! sum. Last, `tower_governor` limits the client inside this process, whatever Redis says. `docs/limits.md` tells how far
//! the sum can overshoot.

mod account;
mod address;
mod client;
mod fields;
mod limiter;
mod middleware;
mod policy;

pub use address::ClientAddress;
pub use client::Client;
pub use limiter::{Limiter, Verdict, describe_metrics};
pub use middleware::{Config, RateLimits, limit};
pub use policy::{Policy, Rate};
