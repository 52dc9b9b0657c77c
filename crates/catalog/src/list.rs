//! How a list is answered: which statements, one after another.

use std::time::Duration;

use sqlx::{FromRow as _, Row as _, mysql::MySqlRow};

use crate::{
    ListQuery, Page, Product, Sort,
    error::is_deadline,
    plan::{self, Plan},
    reader::Reader,
};

/// Rows of the sort's index that a price range in another order looks at first: enough if a tenth of all are in range.
const WINDOW: u64 = 256;

/// A price range of fewer rows is read whole. Of a million rows, spread at random, 3,000 in range are 21 rows in 7,000
/// of the walk: so neither way reads more than some thousands.
const SMALL_RANGE: u64 = 3_000;

/// What each way may take in each round of the race, as parts of the deadline. The last walk has all of it.
const ROUNDS: [u32; 2] = [40, 10];

pub(crate) async fn list(
    reader: &mut Reader<'_>,
    query: &ListQuery,
    deadline: Duration,
) -> Result<Page, sqlx::Error> {
    let rows = match Plan::of(query) {
        Plan::Page => reader.fetch(&plan::page(query, deadline)).await?,
        Plan::PriceRange => price_range(reader, query, deadline).await?,
    };
    page(query, &rows)
}

/// A price range in another order has two ways, and which is cheap depends on data that no estimate knows: walk the
/// sort's index until enough rows are in range, or read the range and sort it. The cheap cases come first, bounded by
/// rows. What is left are large ranges far away in the sort, where price and sort are correlated: both ways race, each
/// for a time that grows, so that the cost stays within a small multiple of the cheaper way's.
async fn price_range(
    reader: &mut Reader<'_>,
    query: &ListQuery,
    deadline: Duration,
) -> Result<Vec<MySqlRow>, sqlx::Error> {
    let rows = reader.fetch(&plan::window(query, WINDOW, deadline)).await?;
    if rows.len() > query.limit() as usize {
        return Ok(rows);
    }
    let counted = reader.fetch(&plan::count(query, SMALL_RANGE, deadline)).await?;
    if count(&counted)? < SMALL_RANGE {
        return reader.fetch(&plan::range(query, deadline)).await;
    }
    for part in ROUNDS {
        for statement in [plan::filtered(query, deadline / part), plan::range(query, deadline / part)] {
            let result = reader.fetch(&statement).await;
            if !result.as_ref().is_err_and(is_deadline) {
                return result;
            }
        }
    }
    reader.fetch(&plan::filtered(query, deadline)).await
}

fn count(rows: &[MySqlRow]) -> Result<u64, sqlx::Error> {
    let count: i64 = rows.first().ok_or(sqlx::Error::RowNotFound)?.try_get(0)?;
    Ok(count.unsigned_abs())
}

/// The page that the rows make: they are one more than its limit if another follows.
pub(crate) fn page(query: &ListQuery, rows: &[MySqlRow]) -> Result<Page, sqlx::Error> {
    let shown = &rows[..rows.len().min(query.limit() as usize)];
    let products = shown.iter().map(Product::from_row).collect::<Result<Vec<_>, _>>()?;
    let next_cursor = match (rows.len() > shown.len(), shown.last(), products.last()) {
        (true, Some(row), Some(product)) => Some(query.cursor_after(product, relevance(query, row)?)),
        _ => None,
    };
    Ok(Page { products, next_cursor })
}

fn relevance(query: &ListQuery, row: &MySqlRow) -> Result<u32, sqlx::Error> {
    if query.sort() != Sort::Relevance {
        return Ok(0);
    }
    let relevance: i64 = row.try_get("relevance")?;
    Ok(u32::try_from(relevance).unwrap_or(0))
}
