//! List queries in short. The catalogue's own tests compile this file too, for their own types.

use super::catalog::{Category, Filter, Limit, ListQuery, Order, PriceRange, Sort, Words};

/// A list query of `sort`, `order`, `limit`, `category`, `minPrice`, `maxPrice`, `search` and `cursor`.
///
/// # Panics
/// One of them is not valid.
#[must_use]
pub fn query(pairs: &[(&str, &str)]) -> ListQuery {
    build(pairs).unwrap_or_else(|| panic!("not valid: {pairs:?}"))
}

fn build(pairs: &[(&str, &str)]) -> Option<ListQuery> {
    let given = |wanted: &str| pairs.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value);
    let price = |name| given(name).map(|text| text.parse().ok()).map_or(Some(None), |price| price.map(Some));
    let filter = Filter {
        category: match given("category") {
            Some(name) => Some(Category::new(name).ok()?),
            None => None,
        },
        prices: PriceRange::new(price("minPrice")?, price("maxPrice")?).ok()?,
        words: given("search").map_or(Some(Words::default()), |text| Words::new(text).ok())?,
    };
    let sort = given("sort").map(|sort| match sort {
        "price" => Sort::Price,
        "name" => Sort::Name,
        "createdAt" => Sort::CreatedAt,
        "relevance" => Sort::Relevance,
        _ => Sort::Id,
    });
    let order = given("order").map(|order| match order {
        "DESC" | "desc" => Order::Desc,
        _ => Order::Asc,
    });
    let mut query = ListQuery::new(filter, sort, order).ok()?;
    if let Some(limit) = given("limit") {
        query = query.with_limit(Limit::new(limit.parse().ok()?)?);
    }
    match given("cursor") {
        Some(cursor) => query.at(&cursor.parse().ok()?).ok(),
        None => Some(query),
    }
}
