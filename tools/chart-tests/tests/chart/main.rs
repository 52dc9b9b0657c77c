//! The chart: what it renders for every switch, and what it refuses.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod api;
mod chart;
mod cluster;
mod controller;
mod everywhere;
mod jobs;
mod monitoring;
mod names;
mod network;
mod objects;
mod platform;
mod pods;
mod refused;
mod secrets;
mod values;
