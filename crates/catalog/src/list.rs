//! How a list is answered: which statements, one after another.

use sqlx::{FromRow as _, Row as _, mysql::MySqlRow};

use crate::{
    ListQuery, Page, Product, Sort,
    plan::{self, Plan},
    price_range::{Costs, list::ranged_list, sampler::Sampler},
    reader::Reader,
};

pub(crate) async fn list(
    reader: &mut Reader<'_>,
    query: &ListQuery,
    costs: &Costs,
    sampler: &Sampler,
) -> Result<Page, sqlx::Error> {
    let rows = match Plan::of(query) {
        Plan::Page => reader.fetch(&plan::page(query)).await?,
        // On the heap: every other list would carry its state along.
        Plan::PriceRange => Box::pin(ranged_list(reader, query, costs, sampler)).await?,
    };
    page(query, &rows)
}

/// The page that the rows make: they are one more than its limit if another follows.
pub(crate) fn page(query: &ListQuery, rows: &[MySqlRow]) -> Result<Page, sqlx::Error> {
    let shown = &rows[..rows.len().min(query.limit().get() as usize)];
    let products = shown.iter().map(Product::from_row).collect::<Result<Vec<_>, _>>()?;
    let next_cursor = match (rows.len() > shown.len(), shown.last(), products.last()) {
        (true, Some(row), Some(product)) => Some(query.cursor_after_ranked(product, relevance(query, row)?)),
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
