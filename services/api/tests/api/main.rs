//! The API as a client and an operator meet it: the real binary, a real database, a real Redis.
//!
//! Folders and files follow the URLs. `make test` starts the servers that these tests need.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]
// Metrics are floats, and counters whole numbers.
#![allow(
    clippy::float_cmp,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]

mod categories;
mod check;
mod collector;
mod cors;
mod database;
mod documentation;
mod faults;
mod flush;
mod fuzzer;
mod harness;
mod migrate;
mod opensearch;
mod operations;
mod overload;
mod partners {
    mod api_a;
    mod fixture;
    mod tokens;
}
mod products {
    mod caching;
    mod get;
    mod list;
    mod search;
    mod suggest;
}
mod rate_limits;
mod replica;
mod sampling;
mod search_index;
mod secrets;
mod settings;
mod shutdown;
mod slow_clients;
mod tls;
mod traces;
mod webhook {
    mod deliver;
    mod duplicates;
    mod faults;
    mod order;
    mod registration;
    pub mod sender;
    mod signature;
}
mod writes {
    mod batches;
    mod bodies;
    mod faults;
    pub mod fixture;
    mod idempotency;
    mod issuer;
    mod kills;
    mod limits;
    mod preconditions;
    mod single;
    mod tokens;
    mod visible;
}
