//! What lists read: rows that the storage engine hands to the server.

use farmlokal_testing::TestDatabase;

use super::{
    PriceRanges, SORTS,
    brute_force::{Row, insert},
    catalog_of, correlated, page_after, query_of, shape,
};

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
                        let (page, rows) = catalog.list_counting_rows(&query).await.unwrap();
                        assert_eq!(page.products.len(), 20);
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
    sqlx::query("UPDATE products SET price = 9.99, price_band = DEFAULT WHERE id % 3 > 0")
        .execute(&pool)
        .await
        .unwrap();
    let catalog = catalog_of(&database);
    let deep = catalog.product(6_001).await.unwrap().unwrap();
    for sort in ["id", "price"] {
        for order in ["ASC", "DESC"] {
            for category in [None, Some("odd")] {
                let pairs = shape(sort, order, category, Some(("9.99", "9.99")));
                let first = query_of(&pairs);
                for query in [page_after(&first, &deep), first] {
                    let (page, rows) = catalog.list_counting_rows(&query).await.unwrap();
                    assert_eq!(page.products.len(), 20);
                    assert!(page.products.iter().all(|product| product.price.cents() == 999));
                    assert!((21..=22).contains(&rows), "{rows} rows read for {pairs:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_price_range_in_another_order_costs_the_cheapest_way() {
    let database = TestDatabase::create().await;
    let pool = database.pool();
    correlated(&pool).await;
    sqlx::query("ANALYZE TABLE products").fetch_all(&pool).await.unwrap();
    let catalog = catalog_of(&database);
    for has_sample in [false, true] {
        if has_sample {
            catalog.draw_sample().await.unwrap();
        }
        for sort in ["id", "name", "createdAt"] {
            // Nearly all rows are in range, from the fourth on: a short walk. 303 rows, at the far end: a short range, and
            // without a sample a walk in vain before, whose rows MySQL writes and reads once more.
            for (min, max, bound) in [("1.01", "99.00", 300), ("39.99", "41.00", 4_000)] {
                let pairs =
                    [("sort", sort.to_owned()), ("minPrice", min.to_owned()), ("maxPrice", max.to_owned())];
                let (page, rows) = catalog.list_counting_rows(&query_of(&pairs)).await.unwrap();
                assert_eq!(page.products.len(), 20);
                assert!(rows < bound, "{rows} rows read for {pairs:?}, with a sample: {has_sample}");
            }
        }
    }
}

/// 12,000 rows whose prices have nothing to do with all else.
#[tokio::test]
async fn with_a_sample_a_price_range_takes_one_statement_and_the_rows_of_a_short_walk() {
    let database = TestDatabase::create().await;
    let pool = database.pool();
    correlated(&pool).await;
    sqlx::query("UPDATE products SET price = 1 + id * 7919 % 4000 / 100, price_band = DEFAULT")
        .execute(&pool)
        .await
        .unwrap();
    // Whoever sends events chooses their products' ids: one is far above all others.
    sqlx::query("UPDATE products SET id = 9007199254740991 WHERE id = 12000").execute(&pool).await.unwrap();
    sqlx::query("ANALYZE TABLE products").fetch_all(&pool).await.unwrap();
    let catalog = catalog_of(&database);
    let deep = catalog.product(6_001).await.unwrap().unwrap();
    catalog.draw_sample().await.unwrap();
    let (mut queries, mut short) = (0, 0);
    for sort in ["id", "name", "createdAt"] {
        for order in ["ASC", "DESC"] {
            for category in [None, Some("odd")] {
                // One row in four: MySQL reads each of a walk twice, and a sample is off by some 5 %.
                let first = query_of(&shape(sort, order, category, Some(("12.00", "21.99"))));
                for query in [page_after(&first, &deep), first] {
                    let (page, rows) = catalog.list_counting_rows(&query).await.unwrap();
                    assert_eq!(page.products.len(), 20);
                    let (_, statements) = catalog.list_counting_statements(&query).await.unwrap();
                    queries += 1;
                    short += usize::from(rows < 500 && statements == 1);
                }
            }
        }
    }
    // By chance a sample may see a range elsewhere.
    assert!(queries == 24 && short >= 20, "{short} of {queries}");
    let last = catalog.product(11_990).await.unwrap().unwrap();
    let query = query_of(&[("minPrice", "12.00".to_owned()), ("maxPrice", "19.99".to_owned())]);
    let page = catalog.list(&page_after(&query, &last)).await.unwrap();
    assert!(page.products.len() < 20 && page.next_cursor.is_none());
}

/// 12,000 rows whose prices rise with all else: a walk may have to pass them all, and a range to sort as many.
#[tokio::test]
async fn bands_bound_what_a_price_range_reads_whatever_the_data() {
    let database = TestDatabase::create().await;
    let pool = database.pool();
    correlated(&pool).await;
    // And ties: one in five products has another price than its neighbours, and one of three names. From 101.00 to 141.00
    // there are 31 bands, each of some 400 rows.
    sqlx::query(
        "UPDATE products SET price = 100 + IF(id % 5 = 0, 1 + id * 7919 % 4000 / 100, price), price_band = DEFAULT, \
         name = IF(id % 5 = 0, CONCAT('Item ', id % 3), name)",
    )
    .execute(&pool)
    .await
    .unwrap();
    sqlx::query("ANALYZE TABLE products").fetch_all(&pool).await.unwrap();
    let catalog = catalog_of(&database);
    catalog.draw_sample().await.unwrap();
    // The cheapest way may be to walk or to sort a few thousand rows, or to walk them in vain.
    for (way, bound) in
        [(None, 5_000), (Some(PriceRanges::Bands), 2_500), (Some(PriceRanges::BandsWithSortedEdges), 2_500)]
    {
        let catalog = way.map_or(catalog.clone(), |way| catalog.clone().answering(way));
        let mut most = (0, String::new());
        for sort in ["id", "name", "createdAt"] {
            for order in ["ASC", "DESC"] {
                for category in [None, Some("odd")] {
                    for (min, max) in
                        [("102.01", "103.33"), ("103.00", "130.00"), ("120.17", "140.05"), ("0", "109.55")]
                    {
                        let pairs = shape(sort, order, category, Some((min, max)));
                        let first = query_of(&pairs);
                        let mut queries = vec![first.clone()];
                        for id in [2, 5_990, 6_001, 11_990] {
                            queries.push(page_after(&first, &catalog.product(id).await.unwrap().unwrap()));
                        }
                        for query in queries {
                            let (_, rows) = catalog.list_counting_rows(&query).await.unwrap();
                            if rows > most.0 {
                                most = (rows, format!("{pairs:?}"));
                            }
                        }
                    }
                }
            }
        }
        println!("{way:?}: {} rows at the most, for {}", most.0, most.1);
        assert!(most.0 < bound, "{way:?}: {} rows read for {}", most.0, most.1);
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
    let rows = catalog.categories_counting_rows().await.unwrap();
    assert!(rows < 50, "{rows} rows read for 6 categories of 12,008 rows");
}
