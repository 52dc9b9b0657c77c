//! Dashboards and alerts, against what the real binaries expose.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod alerts;
mod api_server;
mod dashboards;
mod exposition;
mod promql;
mod runbooks;
mod running;
