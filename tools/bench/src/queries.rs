//! Lists that no cache has: pages deep in every sort, and ranges of prices of every width. No query comes twice.

use std::collections::{HashMap, HashSet};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{RngExt as _, SeedableRng as _};
use sqlx::{AssertSqlSafe, MySqlPool};
use xxhash_rust::xxh3::xxh3_64;

use crate::server::Server;

pub(crate) const SORTS: [&str; 4] = ["id", "price", "name", "createdAt"];

/// What a list query is made of. First pages without a price range are left out: there are too few different ones to be
/// asked for without a cache for long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    sort: &'static str,
    order: &'static str,
    category: bool,
    /// A first page of a price range; otherwise a page at a random depth of the whole list.
    price_range: bool,
}

impl Shape {
    /// All 32.
    pub(crate) fn all() -> impl Iterator<Item = Shape> {
        let of_sort = |sort| {
            (0..8).map(move |bits| Shape {
                sort,
                order: if bits & 1 == 0 { "ASC" } else { "DESC" },
                category: bits & 2 != 0,
                price_range: bits & 4 != 0,
            })
        };
        SORTS.into_iter().flat_map(of_sort)
    }

    pub(crate) fn is_deep(self) -> bool {
        !self.price_range
    }

    /// Whether one index serves the shape in order: everything but a price range in another order.
    pub(crate) fn has_index(self) -> bool {
        !self.price_range || self.sort == "price"
    }
}

/// A query, ready for the API and for the database.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(crate) path: String,
    /// The statement that reads it along the index that serves it, if one does, and its parameters.
    pub(crate) statement: String,
    pub(crate) values: Vec<String>,
}

/// Makes queries from a sample of what the catalogue holds.
pub(crate) struct Queries {
    products: Vec<Product>,
    /// The sample's prices in cents, ascending, to draw ranges of any width from.
    prices: Vec<u64>,
    newest: u64,
    cursors: Cursors,
    /// Hashes of the paths that were given out.
    seen: HashSet<u64>,
    random: StdRng,
}

impl Queries {
    /// Reads the sample from the database.
    pub(crate) async fn new(database: &MySqlPool) -> Result<Queries> {
        let products = sample(database).await?;
        let mut prices: Vec<u64> = products.iter().map(|product| product.cents).collect();
        prices.sort_unstable();
        let newest = products.iter().map(|product| product.id).max().context("the catalogue is empty")?;
        let (cursors, random) = (Cursors::default(), StdRng::from_rng(&mut rand::rng()));
        Ok(Queries { products, prices, newest, cursors, seen: HashSet::new(), random })
    }

    /// `count` queries of each shape that `which` takes, in random order.
    pub(crate) async fn of_each(
        &mut self,
        api: &Server,
        which: impl Fn(Shape) -> bool,
        count: usize,
    ) -> Result<Vec<Query>> {
        let mut queries = Vec::new();
        for shape in Shape::all().filter(|shape| which(*shape)) {
            for _ in 0..count {
                let query = self.next(api, shape).await?;
                if self.seen.insert(xxh3_64(query.path.as_bytes())) {
                    queries.push(query);
                }
            }
        }
        queries.shuffle(&mut self.random);
        Ok(queries)
    }

    async fn next(&mut self, api: &Server, shape: Shape) -> Result<Query> {
        let Shape { sort, order, .. } = shape;
        let mut product = self.products.choose(&mut self.random).context("no products")?.clone();
        // Any id makes a position, and there are more ids than products in the sample.
        product.id = self.random.random_range(1..=self.newest);
        let (column, value, indexes) = match sort {
            "price" => ("price", "CAST(? AS DECIMAL(10, 2))", ["by_price", "by_category_price"]),
            "name" => ("name", "?", ["by_name", "by_category_name"]),
            "createdAt" => {
                ("created_at", "CAST(? AS DATETIME(3))", ["by_created_at", "by_category_created_at"])
            }
            _ => ("id", "CAST(? AS UNSIGNED)", ["PRIMARY", "by_category"]),
        };
        let category = shape.category.then(|| product.category.clone());
        let mut path = first_page(sort, order, category.as_deref());
        let mut values = Vec::from_iter(category);
        let condition;
        if shape.price_range {
            let [low, high] = self.range(product.cents).map(price);
            path = format!("{path}&minPrice={low}&maxPrice={high}");
            values.extend([low, high]);
            condition = format!("price BETWEEN {value} AND {value}");
        } else {
            path = self.cursors.page_after(api, &path, sort, &product).await?;
            let (than, after) = (if order == "ASC" { ">" } else { "<" }, product.value(sort).1);
            values.extend([after.clone(), after, product.id.to_string()]);
            condition = format!(
                "({column} {than} {value} OR ({column} = {value} AND id {than} CAST(? AS UNSIGNED)))"
            );
        }
        let statement = format!(
            "SELECT id, name, description, category, price, created_at, updated_at FROM products \
             FORCE INDEX ({}) WHERE {}{condition} ORDER BY {column} {order}, id {order} LIMIT 21",
            indexes[usize::from(shape.category)],
            if shape.category { "category = ? AND " } else { "" },
        );
        Ok(Query { path, statement, values })
    }

    /// The bounds of a range that holds a price. The width is log-uniform: from one row's own price to the whole table.
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn range(&mut self, price: u64) -> [u64; 2] {
        let at = self.prices.partition_point(|other| *other < price);
        let width = (self.prices.len() as f64).powf(self.random.random::<f64>()) as usize - 1;
        let low = at.saturating_sub(self.random.random_range(0..=width));
        let high = (low + width).clamp(at, self.prices.len() - 1);
        [self.prices[low], self.prices[high]]
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
        api: &Server,
        first: &str,
        sort: &str,
        product: &Product,
    ) -> Result<String> {
        if !self.0.contains_key(first) {
            let body: serde_json::Value = serde_json::from_slice(&api.body(first).await?)?;
            let cursor = body["nextCursor"].as_str().with_context(|| format!("{first} has one page only"))?;
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
    id: u64,
    category: String,
    name: String,
    cents: u64,
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
fn price(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// Products of a query's text from FROM on.
pub(crate) async fn products(database: &MySqlPool, from: String) -> Result<Vec<Product>> {
    let statement = format!(
        "SELECT id, category, name, CAST(price * 100 AS UNSIGNED), CAST(created_at AS CHAR), \
         TIMESTAMPDIFF(MICROSECOND, '1970-01-01', created_at) DIV 1000 FROM {from}"
    );
    let rows: Vec<(u64, String, String, u64, String, i64)> =
        sqlx::query_as(AssertSqlSafe(statement)).fetch_all(database).await?;
    let products = rows.into_iter().map(|row| {
        let (id, category, name, cents, created_at, millis) = row;
        Product { id, category, name, cents, created_at, millis }
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
