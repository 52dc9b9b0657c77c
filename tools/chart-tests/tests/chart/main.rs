//! The chart: what it renders for every switch, and what it refuses.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod api;
mod chart;
mod cluster;
mod controller;
mod jobs;
mod monitoring;
mod network;
mod objects;
mod pods;
mod refused;
mod secrets;
mod values;
