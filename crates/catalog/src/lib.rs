//! The product catalogue: the domain, and the SQL that stores it. No HTTP, no cache.

mod admission_queue;
pub mod bulk;
mod catalog;
mod config;
mod cursor;
mod dialect;
mod error;
mod events;
mod explained;
mod filter;
mod guards;
mod list;
mod metrics;
mod migrate;
mod plan;
mod pool;
mod price;
mod price_range;
mod product;
mod query;
mod reader;
mod statement;
mod text;
#[cfg(test)]
mod tests;
mod words;

pub use catalog::{Catalog, PoolUse};
pub use config::{CatalogConfig, SearchConfig};
pub use cursor::{Cursor, InvalidCursor};
pub use error::{Error, Refusal};
pub use events::{Change, Event, Outcome, Pruned, Receipt};
pub use filter::{Category, EmptyPriceRange, InvalidCategory, InvalidWords, PriceRange, Words};
pub use metrics::describe_metrics;
pub use migrate::{Applied, MigrateError, migrate};
pub use price::{InvalidPrice, Price};
pub use product::{MAX_PRODUCT_ID, Page, Product};
pub use query::{CursorMismatch, Filter, Limit, ListQuery, NothingToRank, Order, Sort};
pub use text::{InvalidText, normalized};
pub use words::short_words;
