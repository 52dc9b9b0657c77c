//! Lists: every row once, in order, at the price of its own rows.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod brute_force;
mod price_ranges;
mod rows_read;

use chrono::{DateTime, Utc};
use farmlokal_catalog::{Catalog, ListQuery, Product};
use sqlx::MySqlPool;

const SORTS: [(&str, &str); 4] =
    [("id", "id"), ("price", "price"), ("name", "name"), ("createdAt", "created_at")];

fn time(minute: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_700_000_000_000 + minute * 60_001).unwrap()
}

fn parse(pairs: &[(&str, String)]) -> ListQuery {
    ListQuery::parse(pairs.iter().map(|(name, value)| ((*name).into(), value.as_str().into()))).unwrap()
}

/// The parameters of a list with these filters.
fn shape(
    sort: &str,
    order: &str,
    category: Option<&str>,
    prices: Option<(&str, &str)>,
) -> Vec<(&'static str, String)> {
    let mut pairs = vec![("sort", sort.to_owned()), ("order", order.to_owned())];
    pairs.extend(category.map(|category| ("category", category.to_owned())));
    if let Some((min, max)) = prices {
        pairs.extend([("minPrice", min.to_owned()), ("maxPrice", max.to_owned())]);
    }
    pairs
}

/// Follows `nextCursor` to the end.
async fn walk(catalog: &Catalog, pairs: &[(&str, String)]) -> Vec<Product> {
    let mut pairs = pairs.to_vec();
    let mut all = Vec::new();
    loop {
        let query = parse(&pairs);
        let page = catalog.list(&query).await.unwrap();
        assert!(page.products.len() <= query.limit() as usize);
        all.extend(page.products);
        let Some(cursor) = page.next_cursor else { return all };
        assert!(!all.is_empty(), "an empty page has no next one");
        pairs.retain(|(name, _)| *name != "cursor");
        pairs.push(("cursor", cursor));
    }
}

/// The whole table in an order: the database's own comparison of names, without limit, hint or filter.
async fn reference(pool: &MySqlPool, column: &str, order: &str) -> Vec<Product> {
    let text = format!("SELECT * FROM products IGNORE INDEX (by_name) ORDER BY {column} {order}, id {order}");
    sqlx::query_as(sqlx::AssertSqlSafe(text)).fetch_all(pool).await.unwrap()
}

fn ids<'p>(products: impl IntoIterator<Item = &'p Product>) -> Vec<u64> {
    products.into_iter().map(|product| product.id).collect()
}

/// 12,000 rows: every price three times, prices rising with id, name and time, all times in groups of five.
async fn correlated(pool: &MySqlPool) {
    for batch in 0..12_u64 {
        let mut insert = sqlx::QueryBuilder::<sqlx::MySql>::new(
            "INSERT INTO products (name, description, category, price, created_at, updated_at) ",
        );
        insert.push_values(batch * 1000..(batch + 1) * 1000, |mut values, n| {
            let cents = 100 + n / 3;
            values
                .push_bind(format!("Item {:06}", n / 2))
                .push_bind("A description")
                .push_bind(["even", "odd"][usize::from(n % 2 == 1)])
                .push_bind(format!("{}.{:02}", cents / 100, cents % 100))
                .push_bind(time(i64::try_from(n / 5).unwrap()))
                .push_bind(time(0));
        });
        insert.build().execute(pool).await.unwrap();
    }
}
