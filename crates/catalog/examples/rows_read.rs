//! Measures what every shape of list costs on the database that `DATABASE_URL` names, which must hold products:
//! rows read (the sum of the server's `Handler_read_*` counters) and milliseconds on one connection, then the
//! latencies of all shapes mixed at 16 connections.
//!
//! ```text
//! DATABASE_URL=mysql://... cargo run --release -p farmlokal-catalog --example rows_read [samples a shape] [seconds of load]
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    missing_docs
)]
#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]

use std::{
    hash::{BuildHasher as _, RandomState},
    time::{Duration, Instant},
};

use farmlokal_catalog::{Catalog, CatalogConfig, ListQuery, testing::page_after};

const CONNECTIONS: usize = 16;

struct Shape {
    label: String,
    pairs: Vec<(&'static str, String)>,
    ranged: bool,
    category: bool,
    deep: bool,
}

fn shapes() -> Vec<Shape> {
    let mut shapes = Vec::new();
    for sort in ["id", "price", "name", "createdAt"] {
        for order in ["ASC", "DESC"] {
            for category in [false, true] {
                for ranged in [false, true] {
                    for deep in [false, true] {
                        let label = format!(
                            "{sort} {order}{}{}{}",
                            if category { ", category" } else { "" },
                            if ranged { ", price range" } else { "" },
                            if deep { ", deep" } else { "" }
                        );
                        let pairs = vec![("sort", sort.to_owned()), ("order", order.to_owned())];
                        shapes.push(Shape { label, pairs, ranged, category, deep });
                    }
                }
            }
        }
    }
    shapes
}

/// Numbers that need no seed: every run asks something else.
fn random(below: u64) -> u64 {
    RandomState::new().hash_one(0) % below.max(1)
}

/// A query of a shape, about rows drawn at random: so ranges and depths follow the data.
async fn query(catalog: &Catalog, shape: &Shape, rows: u64) -> ListQuery {
    let drawn = async || {
        loop {
            if let Some(product) = catalog.product(1 + random(rows)).await.unwrap() {
                return product;
            }
        }
    };
    let (one, two) = (drawn().await, drawn().await);
    let mut pairs = shape.pairs.clone();
    if shape.category {
        pairs.push(("category", one.category.clone()));
    }
    if shape.ranged {
        pairs.push(("minPrice", one.price.min(two.price).to_string()));
        pairs.push(("maxPrice", one.price.max(two.price).to_string()));
    }
    let query = ListQuery::parse(pairs.into_iter().map(|(name, value)| (name.into(), value.into()))).unwrap();
    if shape.deep { page_after(&query, &drawn().await) } else { query }
}

fn at(sorted: &[f64], share: f64) -> f64 {
    sorted.get((sorted.len().saturating_sub(1) as f64 * share).round() as usize).copied().unwrap_or(f64::NAN)
}

#[tokio::main]
async fn main() {
    let argument =
        |nth, default| std::env::args().nth(nth).map_or(default, |text: String| text.parse().unwrap());
    let (samples, seconds): (usize, u64) = (argument(1, 30) as usize, argument(2, 10));
    let config = CatalogConfig::new(&std::env::var("DATABASE_URL").expect("DATABASE_URL")).unwrap();
    let catalog = Catalog::new(config).unwrap();
    let last = ListQuery::parse([("order".into(), "DESC".into())]).unwrap();
    let rows = catalog.list(&last).await.unwrap().products[0].id;

    println!("{:<45} {:>9} {:>9} {:>9} {:>9}", "shape", "rows p50", "rows max", "ms p50", "ms max");
    for shape in shapes() {
        let (mut read, mut took) = (Vec::new(), Vec::new());
        for _ in 0..samples {
            let query = query(&catalog, &shape, rows).await;
            match catalog.list_counting_rows(&query).await {
                Ok((_, rows)) => read.push(rows as f64),
                Err(error) => println!("{}: {error}", shape.label),
            }
            let started = Instant::now();
            let _ = catalog.list(&query).await;
            took.push(started.elapsed().as_secs_f64() * 1e3);
        }
        read.sort_by(f64::total_cmp);
        took.sort_by(f64::total_cmp);
        let (read50, read100, took50, took100) =
            (at(&read, 0.5), at(&read, 1.0), at(&took, 0.5), at(&took, 1.0));
        println!("{:<45} {read50:>9.0} {read100:>9.0} {took50:>9.2} {took100:>9.2}", shape.label);
    }

    let until = Instant::now() + Duration::from_secs(seconds);
    let mut load = tokio::task::JoinSet::new();
    for first in 0..CONNECTIONS {
        let catalog = catalog.clone();
        load.spawn(async move {
            let shapes = shapes();
            let mut took: Vec<(bool, f64)> = Vec::new();
            for nth in first.. {
                let shape = &shapes[nth * 7 % shapes.len()];
                let query = query(&catalog, shape, rows).await;
                let started = Instant::now();
                if started > until {
                    break;
                }
                let _ = catalog.list(&query).await;
                took.push((
                    shape.ranged && shape.pairs[0].1 != "price",
                    started.elapsed().as_secs_f64() * 1e3,
                ));
            }
            took
        });
    }
    let took: Vec<(bool, f64)> = load.join_all().await.concat();
    for (label, keep) in [("all", None), ("one index", Some(false)), ("price range, other sort", Some(true))]
    {
        let mut took: Vec<f64> = took
            .iter()
            .filter(|(ranged, _)| keep.is_none_or(|keep| keep == *ranged))
            .map(|(_, ms)| *ms)
            .collect();
        took.sort_by(f64::total_cmp);
        println!(
            "{CONNECTIONS} connections, {label}: {:.0} lists/s, p50 {:.2} ms, p95 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
            took.len() as f64 / seconds as f64,
            at(&took, 0.5),
            at(&took, 0.95),
            at(&took, 0.99),
            at(&took, 1.0)
        );
    }
}
