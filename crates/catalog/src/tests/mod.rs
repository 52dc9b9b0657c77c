//! Tests that look inside: what statements read and cost, and what a search index is told.

mod brute_force;
#[allow(unreachable_pub, reason = "it is part of the testing crate too")]
#[path = "../../../../tools/testing/src/catalog_config.rs"]
mod catalog_config;
mod changes;
mod connections;
#[allow(unreachable_pub, reason = "it is part of the testing crate too")]
#[path = "../../../../tools/testing/src/query.rs"]
mod query;
mod rows_read;
mod writes;

use chrono::{DateTime, Utc};
use farmlokal_testing::TestDatabase;
use sqlx::{MySqlPool, mysql::MySqlRow};

use self::catalog_config::catalog_config;
pub(crate) use self::query::query;
use crate::{
    self as catalog, Catalog, Error, ListQuery, Product,
    reader::{Database, Reader},
    statement::Statement,
};

const SORTS: [(&str, &str); 4] =
    [("id", "id"), ("price", "price"), ("name", "name"), ("createdAt", "created_at")];

fn catalog_of(database: &TestDatabase) -> Catalog {
    Catalog::new(database.options.clone(), &catalog_config()).unwrap()
}

fn query_of(pairs: &[(&str, String)]) -> ListQuery {
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
    query(&pairs)
}

/// The query for the page that follows a product, wherever that is: deep pages without a walk.
fn page_after(query: &ListQuery, product: &Product) -> ListQuery {
    query.clone().at(&query.cursor_after(product)).unwrap()
}

fn time(minute: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_700_000_000_000 + minute * 60_001).unwrap()
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
        let query = query_of(&pairs);
        let page = catalog.list(&query).await.unwrap();
        assert!(page.products.len() <= query.limit().get() as usize);
        all.extend(page.products);
        let Some(cursor) = page.next_cursor else { return all };
        assert!(!all.is_empty(), "an empty page has no next one");
        pairs.retain(|(name, _)| *name != "cursor");
        pairs.push(("cursor", cursor.to_string()));
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

/// A statement's answer, and how many rows the storage engine hands to the server for it.
async fn counting_rows(database: &Database, statement: &Statement<'_>) -> (Vec<MySqlRow>, u64) {
    let mut reader = database.reader().await.unwrap();
    let first = rows_read(&mut reader).await;
    let before = rows_read(&mut reader).await;
    let rows = reader.fetch(statement).await.unwrap();
    // To ask for the sum raises it.
    let asking = before - first;
    (rows, rows_read(&mut reader).await - before - asking)
}

async fn rows_read(reader: &mut Reader<'_>) -> u64 {
    let sum = "SHOW SESSION STATUS LIKE 'Handler\\_read\\_%'";
    let connection = reader.begin().unwrap();
    let counters: Vec<(String, String)> = sqlx::query_as(sum).fetch_all(connection).await.unwrap();
    reader.end();
    counters.iter().map(|(_, value)| value.parse::<u64>().unwrap()).sum()
}

impl Catalog {
    /// What a variable of a reader's session is, as text.
    async fn session_variable(&self, name: &str) -> Result<String, Error> {
        let mut reader = self.reader().await?;
        let statement = format!("SELECT CAST(@@SESSION.{name} AS CHAR)");
        let row = sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).fetch_one(reader.begin()?).await?;
        reader.end();
        Ok(sqlx::Row::try_get(&row, 0)?)
    }
}
