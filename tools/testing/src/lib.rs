//! For tests: a database for each, its faults, and list queries in short.

mod database;
mod query;

use farmlokal_catalog as catalog;

pub use database::{TestDatabase, kill_other_connections, other_connections};
pub use query::query;
