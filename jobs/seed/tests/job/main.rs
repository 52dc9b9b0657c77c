//! The seed job as its users run it: the real binary, against the database that `DATABASE_URL` names.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod again;
mod cache;
mod kill;
mod metrics;
mod readers;
mod running;
mod tls;
