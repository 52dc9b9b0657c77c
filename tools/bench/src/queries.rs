//! Lists that no cache has: pages deep in every sort. No query comes twice.

use std::collections::HashSet;

use anyhow::{Context as _, Result};
use farmlokal_catalog::Product;
use farmlokal_testing::query;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{RngExt as _, SeedableRng as _};
use sqlx::{AssertSqlSafe, MySqlPool};

pub(crate) const SORTS: [&str; 4] = ["id", "price", "name", "createdAt"];
pub(crate) const ORDERS: [&str; 2] = ["ASC", "DESC"];
/// Each sort in both orders, with and without a category. First pages are left out: there are too few different ones to be
/// asked for without a cache for long.
pub(crate) const SHAPES: usize = 16;

/// A query, ready for the API and for the database.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    pub(crate) path: String,
    /// The statement that asks the database alone for it, and its parameters.
    pub(crate) statement: String,
    pub(crate) values: Vec<String>,
}

/// Makes queries from a sample of what the catalogue holds.
pub(crate) struct Queries {
    pub(crate) products: Vec<Product>,
    newest: u64,
    /// The paths that were given out.
    seen: HashSet<String>,
    pub(crate) random: StdRng,
}

impl Queries {
    /// Reads the sample from the database.
    pub(crate) async fn new(database: &MySqlPool) -> Result<Queries> {
        let products = sample(database).await?;
        let newest = products.iter().map(|product| product.id).max().context("the catalogue is empty")?;
        Ok(Queries { products, newest, seen: HashSet::new(), random: StdRng::from_rng(&mut rand::rng()) })
    }

    /// `count` pages at a random depth of each shape, in random order.
    pub(crate) fn deep(&mut self, count: usize) -> Result<Vec<Query>> {
        let mut queries = Vec::new();
        for sort in SORTS {
            for order in ORDERS {
                for category in [false, true] {
                    for _ in 0..count {
                        queries.push(self.page(sort, order, category)?);
                    }
                }
            }
        }
        Ok(self.unseen(queries))
    }

    /// Those that were not given out before, in random order.
    pub(crate) fn unseen(&mut self, mut queries: Vec<Query>) -> Vec<Query> {
        queries.retain(|query| self.seen.insert(query.path.clone()));
        queries.shuffle(&mut self.random);
        queries
    }

    /// A product of the sample, with a random id: any id makes a position, and there are more ids than products in the sample.
    pub(crate) fn position(&mut self) -> Result<Product> {
        let mut product = self.products.choose(&mut self.random).context("no products")?.clone();
        product.id = self.random.random_range(1..=self.newest);
        Ok(product)
    }

    fn page(&mut self, sort: &str, order: &str, category: bool) -> Result<Query> {
        let product = self.position()?;
        let (column, value, after, indexes) = match sort {
            "price" => (
                "price",
                "CAST(? AS DECIMAL(10, 2))",
                product.price.to_string(),
                ["by_price", "by_category_price"],
            ),
            "name" => ("name", "?", product.name.clone(), ["by_name", "by_category_name"]),
            "createdAt" => (
                "created_at",
                "CAST(? AS DATETIME(3))",
                product.created_at.format("%F %T%.3f").to_string(),
                ["by_created_at", "by_category_created_at"],
            ),
            _ => ("id", "CAST(? AS UNSIGNED)", product.id.to_string(), ["PRIMARY", "by_category"]),
        };
        let mut list = first_page(sort, order);
        list.extend(category.then_some(("category", &*product.category)));
        let path = page_after(&list, &product);
        let than = if order == "ASC" { ">" } else { "<" };
        let mut values = Vec::from_iter(category.then(|| product.category.clone()));
        values.extend([after.clone(), after, product.id.to_string()]);
        let statement = format!(
            "SELECT {COLUMNS} FROM products FORCE INDEX ({}) WHERE {} \
             ({column} {than} {value} OR ({column} = {value} AND id {than} CAST(? AS UNSIGNED))) \
             ORDER BY {column} {order}, id {order} LIMIT 21",
            indexes[usize::from(category)],
            if category { "category = ? AND" } else { "" },
        );
        Ok(Query { path, statement, values })
    }
}

/// The parameters of a list's first page.
pub(crate) fn first_page<'a>(sort: &'a str, order: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![("sort", sort), ("order", order), ("limit", "20")]
}

/// The path of a list.
pub(crate) fn path(list: &[(&str, &str)]) -> String {
    format!("/products?{}", form_urlencoded::Serializer::new(String::new()).extend_pairs(list).finish())
}

/// The path of the page after a product, at any depth and without a walk.
pub(crate) fn page_after(list: &[(&str, &str)], product: &Product) -> String {
    path(&[list, &[("cursor", &query(list).cursor_after(product).to_string())]].concat())
}

/// Stretches of ids that the sample is read from, and products of each.
const STRETCHES: u64 = 200;
const PRODUCTS: u32 = 100;
/// Those of a [`Product`], in its order.
const COLUMNS: &str = "id, name, description, category, price, created_at, updated_at";

/// Products of a query's text from FROM on.
pub(crate) async fn products(database: &MySqlPool, from: String) -> Result<Vec<Product>> {
    let statement = AssertSqlSafe(format!("SELECT {COLUMNS} FROM {from}"));
    Ok(sqlx::query_as(statement).fetch_all(database).await?)
}

/// 20,000 products, spread evenly over all ids.
async fn sample(database: &MySqlPool) -> Result<Vec<Product>> {
    let last: Option<u64> = sqlx::query_scalar("SELECT MAX(id) FROM products").fetch_one(database).await?;
    let mut sample = Vec::new();
    for stretch in 0..STRETCHES {
        let after = last.unwrap_or(0) * stretch / STRETCHES;
        let from = format!("products WHERE id > {after} ORDER BY id LIMIT {PRODUCTS}");
        sample.extend(products(database, from).await?);
    }
    Ok(sample)
}
