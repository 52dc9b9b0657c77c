//! The search over a real database: fresh whatever happens, and clear about it where it cannot answer.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod faults;
mod faulty_engine;
mod fixture;
mod fresh;
mod opensearch;
