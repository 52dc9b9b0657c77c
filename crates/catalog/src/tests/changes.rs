//! Lists by bands, which take two statements, while products change and connections break.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use farmlokal_testing::{TestDatabase, kill_other_connections};

use super::{PriceRanges, catalog_of, config, query};
use crate::{Catalog, CatalogConfig, ListQuery, Page};

const PRODUCTS: u32 = 40;
/// Changes of one product's price, and lists at the least.
const CHANGES: usize = 3_000;
const KILLS: u64 = 200;

/// A database with products of one price, whose first page by bands is the first two.
async fn products_of_one_price() -> (TestDatabase, ListQuery) {
    let database = TestDatabase::create().await;
    let mut insert = sqlx::QueryBuilder::<sqlx::MySql>::new(
        "INSERT INTO products (id, name, description, category, price, short_words) ",
    );
    insert.push_values(1..=PRODUCTS, |mut values, id| {
        values.push_bind(id).push_bind("a").push_bind("").push_bind("tools");
        values.push_bind(110).push_bind("");
    });
    insert.build().execute(&database.pool()).await.unwrap();
    (database, query(&[("minPrice", "100"), ("maxPrice", "1000"), ("limit", "2")]))
}

fn ids(page: &Page) -> Vec<u64> {
    page.products.iter().map(|product| product.id).collect()
}

/// The first product goes from the band of all others to one of its own, and back. The first page has it at any time.
#[tokio::test(flavor = "multi_thread")]
async fn a_product_that_moves_within_the_price_range_is_on_its_page_at_any_time() {
    let (database, query) = products_of_one_price().await;
    let pool = database.pool();
    let changed = AtomicBool::new(false);
    let change = async {
        for nth in 0..CHANGES {
            let price = [900, 110][nth % 2];
            let update = sqlx::query("UPDATE products SET price = ?, price_band = DEFAULT WHERE id = 1");
            update.bind(price).execute(&pool).await.unwrap();
        }
        changed.store(true, Ordering::Relaxed);
    };
    let catalog = catalog_of(&database).answering(PriceRanges::Bands);
    let list = async {
        let mut lists = 0;
        while !changed.load(Ordering::Relaxed) || lists < CHANGES {
            let page = catalog.list(&query).await.unwrap();
            assert_eq!(ids(&page), [1, 2], "list {lists}");
            lists += 1;
        }
    };
    tokio::join!(change, list);
}

/// Wherever in a list it happens, between its two statements too.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_goes_on_when_its_connection_is_killed() {
    let (database, query) = products_of_one_price().await;
    // One at a time: no list has to wait for another connection to be killed as well.
    let config = CatalogConfig { max_connections: 1, ..config(&database) };
    let catalog = Catalog::new(config).unwrap().answering(PriceRanges::Bands);
    let (lists, killed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let kill = async {
        let mut own = database.pool().acquire().await.unwrap();
        for nth in 0..KILLS {
            // No list is killed twice: one of two has begun since.
            let enough = lists.load(Ordering::Relaxed) + 2;
            while lists.load(Ordering::Relaxed) < enough {
                tokio::time::sleep(Duration::from_micros(500 + 100 * nth % 2_000)).await;
            }
            kill_other_connections(&mut own).await;
        }
        killed.store(true, Ordering::Relaxed);
    };
    let list = async {
        while !killed.load(Ordering::Relaxed) {
            assert_eq!(ids(&catalog.list(&query).await.unwrap()), [1, 2]);
            lists.fetch_add(1, Ordering::Relaxed);
        }
    };
    tokio::join!(kill, list);
}
