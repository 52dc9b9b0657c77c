//! The product catalogue: the domain, and the SQL that stores it. No HTTP, no cache.

pub mod bulk;
mod config;
mod cursor;
mod error;
mod events;
mod explained;
mod gate;
mod guards;
mod list;
mod metrics;
mod migrate;
mod plan;
mod pool;
mod price;
mod price_range;
mod product;
#[cfg(feature = "testing")]
pub mod properties;
mod query;
mod reader;
mod server;
mod statement;
mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod text;
mod words;

pub use config::{CatalogConfig, SearchConfig};
pub use error::{Error, Refusal};
pub use events::{Change, Event, Outcome, Pruned, Receipt};
pub use metrics::describe_metrics;
pub use migrate::{Applied, MigrateError, migrate};
pub use price::{InvalidPrice, Price};
pub use product::{MAX_PRODUCT_ID, Page, Product};
pub use query::{InvalidParam, InvalidQuery, ListQuery, Order, Sort};
pub use store::{Catalog, PoolUse};
pub use text::{InvalidText, normalized};
pub use words::short_words;
