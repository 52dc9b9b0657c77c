//! A verifier and its issuer over real HTTP.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod faults;
mod fixture;
mod rotation;
mod strange_issuers;
