//! The product catalogue: the domain, and the SQL that stores it. No HTTP, no cache.

pub mod bulk;
mod catalog;
mod changes;
mod config;
mod cursor;
mod error;
mod events;
mod filter;
mod metrics;
mod migrate;
mod plan;
mod pool;
mod price;
mod product;
mod query;
mod reader;
mod replica;
mod search_index;
mod statement;
#[cfg(test)]
mod tests;
mod text;
mod transaction;
mod writes;

pub use catalog::{Catalog, PoolUse};
pub use changes::{ChangePosition, Changes, IndexRow};
pub use config::CatalogConfig;
pub use cursor::{Cursor, InvalidCursor, Level, Position, SortValue};
pub use error::Error;
pub use events::{Change, Event, Outcome, Pruned, Receipt};
pub use filter::{
    Categories, Category, EmptyPriceRange, InvalidSearch, PriceRange, SearchText, TooManyCategories,
};
pub use metrics::describe_metrics;
pub use migrate::{MigrateError, migrate};
pub use price::{InvalidPrice, Price};
pub use product::{Draft, MAX_PRODUCT_ID, Page, Product};
pub use query::{CursorMismatch, Filter, Include, Limit, ListQuery, NothingToRank, Order, Sort};
pub use replica::ReplicaState;
pub use search_index::{IndexPointer, IndexWriter};
pub use text::{InvalidText, normalized};
pub use writes::{Action, Batch, Done, Idempotency, Operation, Patch, Precondition, Refusal, Written};
