//! The FarmLokal REST API.
//!
//! A list request travels: `middleware` -> `routes::products` -> `ListQuery` -> cache -> catalogue -> bytes.

mod answer;
mod app;
mod body;
pub mod check;
pub mod config;
mod encoding;
mod health;
mod middleware;
pub mod migrate;
pub mod openapi;
mod partners;
mod problem;
mod query;
mod rate_limit;
mod routes;
pub mod serve;
mod webhook;

/// What holds for every input of the parsers that strangers reach.
#[cfg(any(test, feature = "testing"))]
pub mod properties {
    pub use crate::webhook::properties::{event, signature};
}
