//! Lists while products change.
#![allow(clippy::unwrap_used, missing_docs)]

use std::sync::atomic::{AtomicBool, Ordering};

use farmlokal_catalog::{
    Catalog, ListQuery,
    testing::{PriceRanges, TestDatabase},
};

const PRODUCTS: u32 = 40;
/// Changes of one product's price, and lists at the least.
const CHANGES: usize = 3_000;

/// The first product goes from the band of all others to one of its own, and back. The first page has it at any time.
#[tokio::test(flavor = "multi_thread")]
async fn a_product_that_moves_within_the_price_range_is_on_its_page_at_any_time() {
    let database = TestDatabase::create().await;
    let pool = database.pool();
    let mut insert = sqlx::QueryBuilder::<sqlx::MySql>::new(
        "INSERT INTO products (id, name, description, category, price, short_words) ",
    );
    insert.push_values(1..=PRODUCTS, |mut values, id| {
        values.push_bind(id).push_bind("a").push_bind("").push_bind("tools");
        values.push_bind(110).push_bind("");
    });
    insert.build().execute(&pool).await.unwrap();
    let query = [("minPrice", "100"), ("maxPrice", "1000"), ("limit", "2")];
    let query = ListQuery::parse(query.map(|(name, value)| (name.into(), value.into()))).unwrap();
    let changed = AtomicBool::new(false);
    let change = async {
        for nth in 0..CHANGES {
            let price = [900, 110][nth % 2];
            let update = sqlx::query("UPDATE products SET price = ?, price_band = DEFAULT WHERE id = 1");
            update.bind(price).execute(&pool).await.unwrap();
        }
        changed.store(true, Ordering::Relaxed);
    };
    let catalog = Catalog::new(database.config()).unwrap().answering(PriceRanges::Bands);
    let list = async {
        let mut lists = 0;
        while !changed.load(Ordering::Relaxed) || lists < CHANGES {
            let page = catalog.list(&query).await.unwrap();
            let ids: Vec<_> = page.products.iter().map(|product| product.id).collect();
            assert_eq!(ids, [1, 2], "list {lists}");
            lists += 1;
        }
    };
    tokio::join!(change, list);
}
