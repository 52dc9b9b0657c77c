//! Lists that no cache has: pages deep in every sort. No query comes twice.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{RngExt as _, SeedableRng as _};
use sqlx::{AssertSqlSafe, MySqlPool};
use xxhash_rust::xxh3::xxh3_64;

use crate::client::body;

pub(crate) const SORTS: [&str; 4] = ["id", "price", "name", "createdAt"];
pub(crate) const ORDERS: [&str; 2] = ["ASC", "DESC"];
/// Each sort in both orders, with and without a category. First pages are left out: there are too few different ones to be
/// asked for without a cache for long.
pub(crate) const SHAPES: usize = 16;

/// A query, ready for the API and for the database.
#[derive(Clone, Debug)]
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
    pub(crate) cursors: Cursors,
    /// Hashes of the paths that were given out.
    seen: HashSet<u64>,
    pub(crate) random: StdRng,
}

impl Queries {
    /// Reads the sample from the database.
    pub(crate) async fn new(database: &MySqlPool) -> Result<Queries> {
        let products = sample(database).await?;
        let newest = products.iter().map(|product| product.id).max().context("the catalogue is empty")?;
        let (cursors, random) = (Cursors::default(), StdRng::from_rng(&mut rand::rng()));
        Ok(Queries { products, newest, cursors, seen: HashSet::new(), random })
    }

    /// `count` pages at a random depth of each shape, in random order.
    pub(crate) async fn deep(&mut self, api: SocketAddr, count: usize) -> Result<Vec<Query>> {
        let mut queries = Vec::new();
        for sort in SORTS {
            for order in ORDERS {
                for category in [false, true] {
                    for _ in 0..count {
                        queries.push(self.page(api, sort, order, category).await?);
                    }
                }
            }
        }
        Ok(self.unseen(queries))
    }

    /// Those that were not given out before, in random order.
    pub(crate) fn unseen(&mut self, mut queries: Vec<Query>) -> Vec<Query> {
        queries.retain(|query| self.seen.insert(xxh3_64(query.path.as_bytes())));
        queries.shuffle(&mut self.random);
        queries
    }

    /// A product of the sample, with a random id: any id makes a position, and there are more ids than products in the sample.
    pub(crate) fn position(&mut self) -> Result<Product> {
        let mut product = self.products.choose(&mut self.random).context("no products")?.clone();
        product.id = self.random.random_range(1..=self.newest);
        Ok(product)
    }

    async fn page(&mut self, api: SocketAddr, sort: &str, order: &str, category: bool) -> Result<Query> {
        let product = self.position()?;
        let (column, value, indexes) = match sort {
            "price" => ("price", "CAST(? AS DECIMAL(10, 2))", ["by_price", "by_category_price"]),
            "name" => ("name", "?", ["by_name", "by_category_name"]),
            "createdAt" => {
                ("created_at", "CAST(? AS DATETIME(3))", ["by_created_at", "by_category_created_at"])
            }
            _ => ("id", "CAST(? AS UNSIGNED)", ["PRIMARY", "by_category"]),
        };
        let of_category = category.then(|| product.category.clone());
        let first = first_page(sort, order, of_category.as_deref());
        let path = self.cursors.page_after(api, &first, sort, &product).await?;
        let (than, after) = (if order == "ASC" { ">" } else { "<" }, product.value(sort).1);
        let mut values = Vec::from_iter(of_category);
        values.extend([after.clone(), after, product.id.to_string()]);
        let statement = format!(
            "SELECT id, name, description, category, price, created_at, updated_at FROM products FORCE INDEX ({}) WHERE {} \
             ({column} {than} {value} OR ({column} = {value} AND id {than} CAST(? AS UNSIGNED))) \
             ORDER BY {column} {order}, id {order} LIMIT 21",
            indexes[usize::from(category)],
            if category { "category = ? AND" } else { "" },
        );
        Ok(Query { path, statement, values })
    }
}

/// The path of a list's first page.
pub(crate) fn first_page(sort: &str, order: &str, category: Option<&str>) -> String {
    let mut text = form_urlencoded::Serializer::new(String::new());
    text.append_pair("sort", sort).append_pair("order", order).append_pair("limit", "20");
    text.extend_pairs(category.map(|category| ("category", category)));
    format!("/products?{}", text.finish())
}

/// The cursors of first pages, by their paths.
#[derive(Default)]
pub(crate) struct Cursors(HashMap<String, String>);

impl Cursors {
    /// The path of the page after a product, at any depth and without a walk: the cursor is that of the first page with
    /// another position in it, as `crates/catalog/src/cursor.rs` writes it.
    pub(crate) async fn page_after(
        &mut self,
        api: SocketAddr,
        first: &str,
        sort: &str,
        product: &Product,
    ) -> Result<String> {
        if !self.0.contains_key(first) {
            let page: serde_json::Value = serde_json::from_slice(&body(api, first).await?)?;
            let cursor = page["nextCursor"].as_str().with_context(|| format!("{first} has one page only"))?;
            self.0.insert(first.to_owned(), cursor.to_owned());
        }
        let position = [&product.id.to_be_bytes(), &*product.value(sort).0].concat();
        Ok(format!("{first}&cursor={}", with_position(&self.0[first], &position)?))
    }
}

/// The version, the sort (since version 2) and the query's fingerprint stay, the checksum is that of the whole.
fn with_position(cursor: &str, position: &[u8]) -> Result<String> {
    let mut bytes = URL_SAFE_NO_PAD.decode(cursor)?;
    bytes.truncate(8 + usize::from(bytes[0]));
    bytes.extend(position);
    let checksum = xxh3_64(&bytes).to_be_bytes();
    bytes.extend(&checksum[..4]);
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Stretches of ids that the sample is read from, and products of each.
const STRETCHES: u64 = 200;
const PRODUCTS: u32 = 100;

/// What a list can be sorted and filtered by.
#[derive(Clone, Debug)]
pub(crate) struct Product {
    pub(crate) id: u64,
    category: String,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) cents: u64,
    /// As SQL writes it, and in milliseconds since 1970.
    created_at: String,
    millis: i64,
}

impl Product {
    /// The value that it is sorted by, as a cursor holds it and as SQL takes it.
    fn value(&self, sort: &str) -> (Vec<u8>, String) {
        match sort {
            "price" => (self.cents.to_be_bytes().to_vec(), price(self.cents)),
            "name" => (self.name.clone().into_bytes(), self.name.clone()),
            "createdAt" => (self.millis.to_be_bytes().to_vec(), self.created_at.clone()),
            _ => (Vec::new(), self.id.to_string()),
        }
    }
}

/// With two decimals.
pub(crate) fn price(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// Products of a query's text from FROM on.
pub(crate) async fn products(database: &MySqlPool, from: String) -> Result<Vec<Product>> {
    let statement = format!(
        "SELECT id, category, name, description, CAST(price * 100 AS UNSIGNED), CAST(created_at AS CHAR), \
         TIMESTAMPDIFF(MICROSECOND, '1970-01-01', created_at) DIV 1000 FROM {from}"
    );
    let rows: Vec<(u64, String, String, String, u64, String, i64)> =
        sqlx::query_as(AssertSqlSafe(statement)).fetch_all(database).await?;
    let products = rows.into_iter().map(|row| {
        let (id, category, name, description, cents, created_at, millis) = row;
        Product { id, category, name, description, cents, created_at, millis }
    });
    Ok(products.collect())
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
