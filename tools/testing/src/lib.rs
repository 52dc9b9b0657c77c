//! For tests: a database for each, its faults, indices of OpenSearch, list queries in short, and an HTTP client.

mod catalog_config;
mod database;
pub mod http;
mod opensearch;
mod query;

use farmlokal_catalog as catalog;

pub use catalog_config::catalog_config;
pub use database::{TestDatabase, connection_that_runs, kill_other_connections, other_connections};
pub use opensearch::{Mode, Proxy, TestIndices};
pub use query::query;
