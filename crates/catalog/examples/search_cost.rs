//! Measures what searches cost on the database that `DATABASE_URL` names, and when the database stops them.
//!
//! ```text
//! DATABASE_URL=mysql://... cargo run --release -p farmlokal-catalog --example search_cost -- "ball" "xl ball"
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

use std::time::{Duration, Instant};

use farmlokal_catalog::{Catalog, CatalogConfig, ListQuery};

#[tokio::main]
async fn main() {
    println!("{:<30} {:>12} {:>10}  result", "search", "deadline", "took");
    for search in std::env::args().skip(1) {
        for deadline in [Duration::from_secs(60), Duration::from_millis(300)] {
            let mut config =
                CatalogConfig::new(&std::env::var("DATABASE_URL").expect("DATABASE_URL")).unwrap();
            config.search.deadline = deadline;
            let catalog = Catalog::new(config).unwrap();
            catalog.ping().await.unwrap();
            let query = ListQuery::parse([("search".into(), search.as_str().into())]).unwrap();
            let started = Instant::now();
            let result = match catalog.list(&query).await {
                Ok(page) => format!("{} products", page.products.len()),
                Err(error) => error.to_string(),
            };
            println!("{search:<30} {deadline:>12?} {:>7} ms  {result}", started.elapsed().as_millis());
            catalog.close().await;
        }
    }
}
