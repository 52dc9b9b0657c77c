//! Reads beside a real replica that lags, hangs, is gone, refuses, or takes the primary's place: none is stale, and none fails.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod failures;
mod freshness;
mod name;
mod pair;
mod promotion;
