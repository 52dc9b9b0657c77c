//! The FarmLokal REST API.
//!
//! A list request travels: `middleware` -> `routes::products` -> cache -> catalogue -> bytes.

mod answer;
mod app;
mod body;
pub mod check;
pub mod config;
mod detached;
mod encoding;
mod entity_tag;
mod fields;
mod health;
mod invalidation;
mod list_header;
mod middleware;
pub mod migrate;
mod object;
pub mod openapi;
mod partners;
mod problem;
mod prune;
mod query;
mod rate_limit;
pub mod reindex;
mod routes;
pub mod serve;
mod webhook;
mod writes;
