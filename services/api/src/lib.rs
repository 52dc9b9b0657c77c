//! The FarmLokal REST API.
//!
//! A list request travels: [`middleware`] -> `routes::products` -> cache -> catalogue -> bytes.

mod answer;
mod app;
pub mod check;
pub mod config;
mod encoding;
mod health;
pub mod middleware;
pub mod migrate;
mod object;
pub mod openapi;
mod partners;
mod problem;
mod query;
pub mod rate_limit;
mod routes;
pub mod serve;
pub mod server;
mod webhook;
