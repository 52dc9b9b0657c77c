//! The sandbox over real HTTP: what its clients see, and what its counters say of them.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod api_a;
mod binary;
mod callbacks;
mod client;
mod control;
mod issuer;
mod receiver;
mod token;
mod webhooks;
