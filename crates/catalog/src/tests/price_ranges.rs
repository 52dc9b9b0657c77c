//! Price ranges in another order: exact whatever the sample says, and without indexes of bands.

use std::time::Duration;

use farmlokal_testing::TestDatabase;

use super::{PriceRanges, SORTS, catalog_of, config, correlated, ids, query_of, reference, walk};
use crate::{Catalog, CatalogConfig, Price, price_range::band::Band};

/// A sample of a catalogue that is another by now makes lists slower, and never wrong.
#[tokio::test]
async fn a_sample_of_other_times_changes_no_answer() {
    let database = TestDatabase::create().await;
    let pool = database.pool();
    correlated(&pool).await;
    let catalog = catalog_of(&database);
    catalog.draw_sample().await.unwrap();
    // What was cheap is dear, the first come last, and there are fewer.
    sqlx::query("UPDATE products SET price = 200 - price, price_band = DEFAULT")
        .execute(&pool)
        .await
        .unwrap();
    sqlx::query("DELETE FROM products WHERE id > 9000 OR id % 3 = 0").execute(&pool).await.unwrap();
    // And others have come at the end.
    sqlx::query(
        "INSERT INTO products (name, description, category, price, created_at, updated_at) \
         SELECT name, description, category, price, created_at, updated_at FROM products WHERE id % 5 = 0",
    )
    .execute(&pool)
    .await
    .unwrap();
    for (sort, column) in SORTS {
        for order in ["ASC", "DESC"] {
            let pairs = vec![
                ("sort", sort.to_owned()),
                ("order", order.to_owned()),
                ("limit", "100".to_owned()),
                ("minPrice", "170.00".to_owned()),
                ("maxPrice", "190.00".to_owned()),
            ];
            let mut expected = reference(&pool, column, order).await;
            expected.retain(|product| (17_000..=19_000).contains(&product.price.cents()));
            assert!(expected.len() > 1_000);
            assert_eq!(ids(&walk(&catalog, &pairs).await), ids(&expected), "{sort} {order}");
        }
    }
}

/// A range that takes far longer than the sample says is stopped, and read without a sample.
#[tokio::test]
async fn a_sample_that_is_far_off_is_not_believed_for_long() {
    let database = TestDatabase::create().await;
    let pool = database.pool();
    correlated(&pool).await;
    let config = CatalogConfig { list_deadline: Duration::from_secs(10), ..config(&database) };
    let catalog = Catalog::new(config).unwrap();
    catalog.draw_sample().await.unwrap();
    let query = query_of(&[("minPrice", "39.90".to_owned()), ("maxPrice", "41.00".to_owned())]);
    let (_, statements) = catalog.list_counting_statements(&query).await.unwrap();
    assert_eq!(statements, 1);
    let mut own = pool.acquire().await.unwrap();
    sqlx::raw_sql("LOCK TABLES products WRITE").execute(&mut *own).await.unwrap();
    let (list, ()) = tokio::join!(catalog.list_counting_statements(&query), async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        sqlx::raw_sql("UNLOCK TABLES").execute(&mut *own).await.unwrap();
    });
    let (page, statements) = list.unwrap();
    assert_eq!(page.products.len(), 20);
    assert_eq!(statements, 2, "it and the question to the optimiser: the range is not prepared then");
    // It had a deadline of its own; the session has its own again.
    let deadline = match catalog.session_variable("max_statement_time").await {
        Ok(seconds) => seconds,
        Err(_) => catalog.session_variable("max_execution_time").await.unwrap(),
    };
    assert!(["10.000000", "10000"].contains(&deadline.as_str()), "{deadline}");
}

#[tokio::test]
async fn a_price_range_is_exact_far_from_the_start() {
    let database = TestDatabase::create().await;
    let pool = database.pool();
    correlated(&pool).await;
    let catalog = catalog_of(&database);
    for (sort, column) in SORTS {
        for order in ["ASC", "DESC"] {
            let mut pairs =
                vec![("sort", sort.to_owned()), ("order", order.to_owned()), ("limit", "100".to_owned())];
            pairs.extend([("minPrice", "15.01".to_owned()), ("maxPrice", "36.00".to_owned())]);
            let mut expected = reference(&pool, column, order).await;
            expected.retain(|product| (1501..=3600).contains(&product.price.cents()));
            for way in [None, Some(PriceRanges::Bands), Some(PriceRanges::BandsWithSortedEdges)] {
                let catalog = way.map_or(catalog.clone(), |way| catalog.clone().answering(way));
                assert_eq!(ids(&walk(&catalog, &pairs).await), ids(&expected), "{pairs:?} {way:?}");
            }
        }
    }
}

/// As while the seed job builds them.
#[tokio::test]
async fn a_price_range_is_answered_without_indexes_of_bands() {
    let database = TestDatabase::create().await;
    let pool = database.pool();
    correlated(&pool).await;
    sqlx::query(
        "ALTER TABLE products DROP KEY by_band, DROP KEY by_band_name, DROP KEY by_band_created_at, \
         DROP KEY by_category_band, DROP KEY by_category_band_name, DROP KEY by_category_band_created_at",
    )
    .execute(&pool)
    .await
    .unwrap();
    let catalog = catalog_of(&database).answering(PriceRanges::Bands);
    for sort in ["id", "name", "createdAt"] {
        let pairs = [
            ("sort", sort.to_owned()),
            ("minPrice", "15.01".to_owned()),
            ("maxPrice", "36.00".to_owned()),
            ("limit", "100".to_owned()),
        ];
        assert_eq!(walk(&catalog, &pairs).await.len(), 6_300);
    }
}

/// The same expression in SQL, twice, and in the program.
#[tokio::test]
async fn the_database_bands_prices_as_the_program_does() {
    let database = TestDatabase::create().await;
    let pool = database.pool();
    let powers = (0..34).flat_map(|bits| [(1_u64 << bits) - 1, 1 << bits, (1 << bits) + 1]);
    let others = (0..3_000_u64).map(|n| (n * n * n * 7919) % 10_000_000_000);
    let cents: Vec<u64> = (0..3_000).chain(powers).chain(others).chain([9_999_999_999]).collect();
    for cents in cents.chunks(1000) {
        let mut insert = sqlx::QueryBuilder::<sqlx::MySql>::new(
            "INSERT INTO products (name, description, category, price) ",
        );
        insert.push_values(cents, |mut values, cents| {
            values.push_bind("").push_bind("").push_bind("");
            values.push_bind(format!("{}.{:02}", cents / 100, cents % 100));
        });
        insert.build().execute(&pool).await.unwrap();
    }
    let rows: Vec<(Price, u16)> =
        sqlx::query_as("SELECT price, price_band FROM products").fetch_all(&pool).await.unwrap();
    assert_eq!(rows.len(), cents.len());
    for (price, band) in rows {
        assert_eq!(band, Band::of(price).number(), "{price}");
    }
    for wrong in ["price = price + 50", "price_band = price_band + 1"] {
        let update = format!("UPDATE products SET {wrong} WHERE price > 10 AND price < 1000");
        sqlx::query(sqlx::AssertSqlSafe(update)).execute(&pool).await.unwrap_err();
    }
}
