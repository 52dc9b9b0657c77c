//! What statements read: rows that the storage engine hands to the server.

use farmlokal_testing::TestDatabase;
use sqlx::{FromRow as _, Row as _};

use super::{
    SORTS,
    brute_force::{Row, insert},
    catalog_of, correlated, counting_rows, page_after, query_of, shape,
};
use crate::{Product, changes, plan};

#[tokio::test]
async fn a_page_reads_its_own_rows_and_no_more() {
    let database = TestDatabase::create().await;
    let pool = database.pool();
    correlated(&pool).await;
    let catalog = catalog_of(&database);
    let deep = catalog.product(6_001).await.unwrap().unwrap();
    let mut shapes = 0;
    for (sort, _) in SORTS {
        for order in ["ASC", "DESC"] {
            for category in [None, Some("odd")] {
                for range in [None, Some(("5.00", "40.00"))] {
                    if range.is_some() && sort != "price" {
                        continue;
                    }
                    let pairs = shape(sort, order, category, range);
                    let first = query_of(&pairs);
                    for query in [page_after(&first, &deep), first] {
                        let (page, rows) = counting_rows(&catalog.database, &plan::page(&query)).await;
                        assert_eq!(page.len(), 21);
                        assert!((21..=22).contains(&rows), "{rows} rows read for {pairs:?}");
                        shapes += 1;
                    }
                }
            }
        }
    }
    assert_eq!(shapes, 40);
}

#[tokio::test]
async fn a_page_of_one_price_reads_its_own_rows_and_no_more() {
    let database = TestDatabase::create().await;
    let pool = database.pool();
    correlated(&pool).await;
    sqlx::query("UPDATE products SET price = 9.99 WHERE id % 3 > 0").execute(&pool).await.unwrap();
    let catalog = catalog_of(&database);
    let deep = catalog.product(6_001).await.unwrap().unwrap();
    for order in ["ASC", "DESC"] {
        for category in [None, Some("odd")] {
            {
                let pairs = shape("price", order, category, Some(("9.99", "9.99")));
                let first = query_of(&pairs);
                for query in [page_after(&first, &deep), first] {
                    let (page, rows) = counting_rows(&catalog.database, &plan::page(&query)).await;
                    assert_eq!(page.len(), 21);
                    let prices = page.iter().map(|row| Product::from_row(row).unwrap().price.cents());
                    assert!(prices.eq([999; 21]));
                    assert!((21..=22).contains(&rows), "{rows} rows read for {pairs:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn categories_are_read_by_a_loose_index_scan() {
    let database = TestDatabase::create().await;
    let pool = database.pool();
    let catalog = catalog_of(&database);
    assert_eq!(catalog.categories().await.unwrap(), Vec::<String>::new());
    insert(&pool, &(0..8).map(|n| Row { name: n, category: n, cents: 100, minute: 0 }).collect::<Vec<_>>())
        .await;
    assert_eq!(catalog.categories().await.unwrap(), ["Sports", "dairy", "sports", "é"]);
    correlated(&pool).await;
    sqlx::query("ANALYZE TABLE products").fetch_all(&pool).await.unwrap();
    assert_eq!(catalog.categories().await.unwrap(), ["Sports", "dairy", "even", "odd", "sports", "é"]);
    // On a connection that has not planned for an empty table: MariaDB keeps to such a plan as long as the table is open.
    let catalog = catalog_of(&database);
    let (_, rows) = counting_rows(&catalog.database, &plan::categories()).await;
    assert!(rows < 50, "{rows} rows read for 6 categories of 12,008 rows");
}

/// A replica is asked the same, and for the counters.
#[tokio::test]
async fn the_position_costs_its_counters_and_no_index() {
    let database = TestDatabase::create().await;
    let pool = database.pool();
    correlated(&pool).await;
    for slot in 0..=64 {
        sqlx::query("INSERT INTO change_counters VALUES (?, 1)").bind(slot).execute(&pool).await.unwrap();
    }
    sqlx::query("ANALYZE TABLE products, change_counters").fetch_all(&pool).await.unwrap();
    let catalog = catalog_of(&database);
    let deep = catalog.product(6_001).await.unwrap().unwrap();
    let page = query_of(&shape("price", "DESC", Some("odd"), None));
    let next = page_after(&page, &deep);
    let statements =
        [(plan::page(&page), 22), (plan::page(&next), 22), (plan::product(7), 1), (plan::categories(), 50)];
    for (statement, alone) in statements {
        let (without, _) = counting_rows(&catalog.database, &statement).await;
        let (rows, read) = counting_rows(&catalog.database, &statement.with_position()).await;
        assert_eq!(rows.len(), without.len());
        assert_eq!(rows[0].try_get::<u64, _>(rows[0].len() - 1).unwrap(), 65, "{}", statement.text);
        // The counters, their end, and the subquery's one row.
        assert!(read <= alone + 65 + 4, "{read} rows read by {}", statement.text);
    }
}

#[tokio::test]
async fn what_a_search_found_is_read_by_id_with_the_counters() {
    let database = TestDatabase::create().await;
    let pool = database.pool();
    correlated(&pool).await;
    sqlx::query("INSERT INTO change_counters VALUES (0, 1), (7, 2), (64, 3)").execute(&pool).await.unwrap();
    sqlx::query("ANALYZE TABLE products, change_counters").fetch_all(&pool).await.unwrap();
    let catalog = catalog_of(&database);
    for count in [0, 1, 20, 100] {
        // From both ends.
        let ids: Vec<u64> = (0..count).map(|n| if n % 2 == 0 { 1 + n } else { 12_000 - n }).collect();
        let (rows, read) = counting_rows(&catalog.database, &changes::found(&ids)).await;
        assert_eq!(rows.len() as u64, count.max(1));
        // The counters, their sum, the ids up to a power of two, and the end of each.
        let bound = 12 + 2 * count.next_power_of_two();
        assert!((count..bound).contains(&read), "{read} rows read for {count}");
    }
}

#[tokio::test]
async fn what_changed_is_read_without_all_else() {
    let database = TestDatabase::create().await;
    let pool = database.pool();
    correlated(&pool).await;
    sqlx::query(
        "INSERT INTO product_versions (product_id, newest_at, slot, change_number) \
         SELECT id, created_at, 1 + id % 2, id FROM products",
    )
    .execute(&pool)
    .await
    .unwrap();
    sqlx::query("ANALYZE TABLE products, product_versions").fetch_all(&pool).await.unwrap();
    let catalog = catalog_of(&database);
    sqlx::query("INSERT INTO change_counters VALUES (1, 11900), (2, 11900)").execute(&pool).await.unwrap();
    let changed = changes::changes(&catalog.change_position().await.unwrap());
    let (rows, read) = counting_rows(&catalog.index_database, &changed).await;
    // Two counters, and what changed after them.
    assert_eq!(rows.len(), 102);
    // The counters, the beginning of each slot, and each change with its product.
    assert!(read < 4 + 64 + 2 * 102, "{read} rows read");
}
