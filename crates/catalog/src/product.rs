//! A product, and a page of them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, Row as _, mysql::MySqlRow};

use crate::{Cursor, Price};

/// The highest id of a product: 2^53 - 1, the highest whole number that JavaScript reads right from JSON.
pub const MAX_PRODUCT_ID: u64 = 9_007_199_254_740_991;

/// One product. Times have milliseconds, as the columns do. It is serialized for the store's own use, with its price in cents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// Unique, never reused, from 1 to [`MAX_PRODUCT_ID`].
    pub id: u64,
    /// At most 255 characters.
    pub name: String,
    /// At most 1,000 characters.
    pub description: String,
    /// At most 64 characters; compared byte by byte.
    pub category: String,
    /// What it costs.
    pub price: Price,
    /// When it was first stored.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// What a product is as others say it, without what the store adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// 1 to 255 characters; [`normalized`](crate::normalized), as the next two.
    pub name: String,
    /// At most 1,000 characters.
    pub description: String,
    /// 1 to 64 characters.
    pub category: String,
    /// What it costs.
    pub price: Price,
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// At most as many products as the query's limit, in its order.
    pub products: Vec<Product>,
    /// Where the next page starts; `None` on the last one.
    pub next_cursor: Option<Cursor>,
}

/// From the columns that every plan reads, by their places: to look each up by its name takes longer than to decode it.
impl FromRow<'_, MySqlRow> for Product {
    fn from_row(row: &MySqlRow) -> Result<Product, sqlx::Error> {
        Ok(Product {
            id: row.try_get(0)?,
            name: row.try_get(1)?,
            description: row.try_get(2)?,
            category: row.try_get(3)?,
            price: row.try_get(4)?,
            created_at: row.try_get(5)?,
            updated_at: row.try_get(6)?,
        })
    }
}
