//! Rate limits for each client, over all replicas of a service, without a round trip for each request.
//!
//! A [`Limiter`] keeps an account for each client and tells Redis every few requests what it has admitted; Redis adds up
//! the replicas' reports and answers with the sum. `docs/limits.md` says how far the sum can overshoot.

mod account;
mod client;
mod limiter;
mod metrics;
mod policy;
mod store;

pub use client::Client;
pub use limiter::{Limiter, Quota, Verdict};
pub use metrics::describe_metrics;
pub use policy::{InvalidPolicy, Policy, Rate};
