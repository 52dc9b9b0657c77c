//! Cold lists: every shape without a search, at any depth, no query twice.

use std::collections::HashSet;

use anyhow::{Context as _, Result};
use farmlokal_catalog::{Catalog, ListQuery, Price, Product};
use farmlokal_testing::query;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{RngExt as _, SeedableRng as _};

/// Products to make queries from.
const SAMPLE_PAGES: u64 = 200;

/// What a list query is made of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Shape {
    pub(crate) sort: &'static str,
    pub(crate) order: &'static str,
    pub(crate) category: bool,
    pub(crate) price_range: bool,
    pub(crate) deep: bool,
}

impl Shape {
    /// All 64, the two orders of a shape side by side.
    pub(crate) fn all() -> Vec<Shape> {
        let mut shapes = Vec::new();
        for sort in ["id", "price", "name", "createdAt"] {
            for (category, price_range) in [(false, false), (true, false), (false, true), (true, true)] {
                for deep in [false, true] {
                    shapes.extend(["ASC", "DESC"].map(|order| Shape {
                        sort,
                        order,
                        category,
                        price_range,
                        deep,
                    }));
                }
            }
        }
        shapes
    }

    /// The shape in words, without the order.
    pub(crate) fn class(self) -> String {
        let filters = match (self.category, self.price_range) {
            (false, false) => "",
            (true, false) => ", category",
            (false, true) => ", price range",
            (true, true) => ", category, price range",
        };
        format!("{}{filters}, {}", self.sort, if self.deep { "deep" } else { "first page" })
    }

    /// Whether one index serves the shape in order: everything but a price range with another sort.
    pub(crate) fn has_index(self) -> bool {
        !self.price_range || self.sort == "price"
    }
}

/// A query, ready for both engines: over HTTP and straight to the catalogue.
#[derive(Clone, Debug)]
pub(crate) struct ColdQuery {
    pub(crate) shape: Shape,
    pub(crate) path: String,
    pub(crate) query: ListQuery,
}

/// Makes queries from a sample of what the catalogue holds. A clone makes the same ones.
#[derive(Clone)]
pub(crate) struct Queries {
    products: Vec<Product>,
    /// The sample's prices, ascending, to draw ranges of any selectivity from.
    prices: Vec<Price>,
    random: Xoshiro256PlusPlus,
}

impl Queries {
    /// Reads the sample, spread evenly over all ids.
    pub(crate) async fn sample(catalog: &Catalog) -> Result<Queries> {
        let newest = catalog.list(&query(&[("order", "DESC"), ("limit", "1")])).await?;
        let last = newest.products.first().context("the catalogue is empty")?.id;
        let mut products = Vec::new();
        for page in 0..SAMPLE_PAGES {
            let cursor = last * page / SAMPLE_PAGES;
            products.extend(
                catalog.list(&query(&[("cursor", &cursor.to_string()), ("limit", "100")])).await?.products,
            );
        }
        let mut prices: Vec<_> = products.iter().map(|product| product.price).collect();
        prices.sort_unstable();
        Ok(Queries { products, prices, random: Xoshiro256PlusPlus::seed_from_u64(1) })
    }

    /// The names of the sampled products.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.products.iter().map(|product| product.name.as_str())
    }

    /// `count` queries of each shape that `which` takes, none twice, in random order. Fewer of a shape that has not so
    /// many different ones: there are but twenty first pages without a filter.
    pub(crate) fn of_each(&mut self, which: impl Fn(Shape) -> bool, count: usize) -> Result<Vec<ColdQuery>> {
        let mut seen = HashSet::new();
        let mut queries = Vec::new();
        for shape in Shape::all().into_iter().filter(|shape| which(*shape)) {
            for _ in 0..count {
                let query = self.next(shape)?;
                if seen.insert(query.path.clone()) {
                    queries.push(query);
                }
            }
        }
        queries.shuffle(&mut self.random);
        Ok(queries)
    }

    fn next(&mut self, shape: Shape) -> Result<ColdQuery> {
        let start = self.products.choose(&mut self.random).context("the sample is empty")?.clone();
        let mut pairs = self.parameters(shape, &start);
        if shape.deep {
            let cursor = list_query(&pairs).cursor_after(&start);
            pairs.push(("cursor", cursor.to_string()));
        }
        let text = form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
        Ok(ColdQuery { shape, path: format!("/products?{text}"), query: list_query(&pairs) })
    }

    /// A query's parameters without its cursor, made so that `start` is among its answers: a page that begins after `start`
    /// is then a page of a real walk, at a random depth.
    fn parameters(&mut self, shape: Shape, start: &Product) -> Vec<(&'static str, String)> {
        // First pages without a price range differ by their limit alone.
        let limit = if shape.deep || shape.price_range { 20 } else { self.random.random_range(1..=20) };
        let mut pairs = vec![("sort", shape.sort.to_owned()), ("order", shape.order.to_owned())];
        pairs.push(("limit", limit.to_string()));
        if shape.category {
            pairs.push(("category", start.category.clone()));
        }
        if shape.price_range {
            let at = self.prices.partition_point(|price| *price < start.price);
            // The width is log-uniform: from one row's own price to the whole table.
            #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let width = (self.prices.len() as f64).powf(self.random.random::<f64>()) as usize - 1;
            let low = at.saturating_sub(self.random.random_range(0..=width));
            let high = (low + width).clamp(at, self.prices.len() - 1);
            let (open_below, open_above) = (self.random.random_ratio(1, 5), self.random.random_ratio(1, 5));
            if !open_below || open_above {
                pairs.push(("minPrice", self.prices[low].to_string()));
            }
            if !open_above {
                pairs.push(("maxPrice", self.prices[high].to_string()));
            }
        }
        pairs
    }
}

fn list_query(pairs: &[(&'static str, String)]) -> ListQuery {
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
    query(&pairs)
}
