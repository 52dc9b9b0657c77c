//! List queries in short. The catalogue's own tests compile this file too, for their own types.

use super::catalog::{
    Categories, Category, Filter, Include, Limit, ListQuery, Order, PriceRange, SearchText, Sort,
};

/// A list query of `sort`, `order`, `limit`, `category` (any number), `minPrice`, `maxPrice`, `search`, `cursor`, and of `total`,
/// `facets` and `highlight`, each with any value.
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
    let categories = pairs.iter().filter(|(name, _)| *name == "category");
    let categories = categories.map(|(_, value)| Category::new(value).ok()).collect::<Option<Vec<_>>>()?;
    let filter = Filter {
        categories: Categories::new(categories).ok()?,
        prices: PriceRange::new(price("minPrice")?, price("maxPrice")?).ok()?,
        search: match given("search") {
            Some(text) => Some(SearchText::new(text).ok()?),
            None => None,
        },
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
    let asked = |name| given(name).is_some();
    let include = Include {
        total: asked("total"),
        category_facet: asked("facets"),
        price_facet: asked("facets"),
        highlights: asked("highlight"),
    };
    let mut query = ListQuery::new(filter, sort, order).ok()?.with(include);
    if let Some(limit) = given("limit") {
        query = query.with_limit(Limit::new(limit.parse().ok()?)?);
    }
    match given("cursor") {
        Some(cursor) => query.at(&cursor.parse().ok()?).ok(),
        None => Some(query),
    }
}
