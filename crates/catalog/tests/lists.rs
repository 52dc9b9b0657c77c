//! Lists against a brute-force reference: every row once, in order, at the price of its own rows.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::time::Duration;

use chrono::{DateTime, Utc};
use farmlokal_catalog::{
    Catalog, CatalogConfig, ListQuery, Price, Product, short_words,
    testing::{PriceRanges, TestDatabase, page_after, price_band},
};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use sqlx::MySqlPool;

const SORTS: [(&str, &str); 4] =
    [("id", "id"), ("price", "price"), ("name", "name"), ("createdAt", "created_at")];

/// Equal by the collation, all of them, or not: case, accents, trailing and inner spaces, expansions, empty.
const NAMES: [&str; 14] = [
    "apple",
    "Apple",
    "ÄPPLE",
    "apple ",
    "ápple  ",
    " apple",
    "straße",
    "strasse",
    "Zebra",
    "zebra\u{301}",
    "🍏",
    "🍎 ",
    "",
    "10 apples",
];

#[derive(Clone, Debug)]
struct Row {
    name: usize,
    category: usize,
    cents: u64,
    minute: i64,
}

fn categories() -> [&'static str; 4] {
    ["sports", "Sports", "dairy", "é"]
}

async fn insert(pool: &MySqlPool, rows: &[Row]) {
    let mut insert = sqlx::QueryBuilder::<sqlx::MySql>::new(
        "INSERT INTO products (name, description, category, price, created_at, updated_at, short_words) ",
    );
    insert.push_values(rows, |mut values, row| {
        let name = NAMES[row.name % NAMES.len()];
        values
            .push_bind(name)
            .push_bind("")
            .push_bind(categories()[row.category % 4])
            .push_bind(format!("{}.{:02}", row.cents / 100, row.cents % 100))
            .push_bind(time(row.minute))
            .push_bind(time(row.minute))
            .push_bind(short_words(name, ""));
    });
    insert.build().execute(pool).await.unwrap();
}

fn time(minute: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_700_000_000_000 + minute * 60_001).unwrap()
}

fn parse(pairs: &[(&str, String)]) -> ListQuery {
    ListQuery::parse(pairs.iter().map(|(name, value)| ((*name).into(), value.as_str().into()))).unwrap()
}

/// The parameters of a list with these filters.
fn shape(
    sort: &str,
    order: &str,
    category: Option<&str>,
    prices: Option<(&str, &str)>,
) -> Vec<(&'static str, String)> {
    let mut pairs = vec![("sort", sort.to_owned()), ("order", order.to_owned())];
    pairs.extend(category.map(|category| ("category", category.to_owned())));
    if let Some((min, max)) = prices {
        pairs.extend([("minPrice", min.to_owned()), ("maxPrice", max.to_owned())]);
    }
    pairs
}

/// Follows `nextCursor` to the end.
async fn walk(catalog: &Catalog, pairs: &[(&str, String)]) -> Vec<Product> {
    let mut pairs = pairs.to_vec();
    let mut all = Vec::new();
    loop {
        let query = parse(&pairs);
        let page = catalog.list(&query).await.unwrap();
        assert!(page.products.len() <= query.limit() as usize);
        all.extend(page.products);
        let Some(cursor) = page.next_cursor else { return all };
        assert!(!all.is_empty(), "an empty page has no next one");
        pairs.retain(|(name, _)| *name != "cursor");
        pairs.push(("cursor", cursor));
    }
}

/// The whole table in an order: the database's own comparison of names, without limit, hint or filter.
async fn reference(pool: &MySqlPool, column: &str, order: &str) -> Vec<Product> {
    let text = format!("SELECT * FROM products IGNORE INDEX (by_name) ORDER BY {column} {order}, id {order}");
    sqlx::query_as(sqlx::AssertSqlSafe(text)).fetch_all(pool).await.unwrap()
}

fn ids<'p>(products: impl IntoIterator<Item = &'p Product>) -> Vec<u64> {
    products.into_iter().map(|product| product.id).collect()
}

#[derive(Clone, Debug)]
struct Asked {
    sort: usize,
    descending: bool,
    limit: u32,
    category: Option<usize>,
    min: Option<u64>,
    max: Option<u64>,
    price_ranges: Option<PriceRanges>,
}

const PRICE_RANGES: [PriceRanges; 4] =
    [PriceRanges::Sorted, PriceRanges::Walked, PriceRanges::Bands, PriceRanges::BandsWithSortedEdges];

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (0..NAMES.len(), 0..4_usize, cents(), 0..4_i64)
        .prop_map(|(name, category, cents, minute)| Row { name, category, cents, minute });
    // Prices may rise with the ids: then the first rows are of one band, and the last of another.
    (prop::collection::vec(row, 1..60), any::<bool>()).prop_map(|(mut rows, sorted)| {
        if sorted {
            rows.sort_by_key(|row| row.cents);
        }
        rows
    })
}

/// Bands of one cent, of two, of four and of eight: ranges cut some of them.
fn cents() -> impl Strategy<Value = u64> {
    prop_oneof![(0..6_u64).prop_map(|step| step * 50), 250..290_u64, 500..560_u64]
}

fn asked() -> impl Strategy<Value = Asked> {
    (
        0..4_usize,
        any::<bool>(),
        1..8_u32,
        prop::option::of(0..4_usize),
        prop::option::of(cents()),
        prop::option::of(cents()),
        prop::option::of(prop::sample::select(&PRICE_RANGES[..])),
    )
        .prop_map(|(sort, descending, limit, category, min, max, price_ranges)| {
            let (min, max) =
                if min.zip(max).is_some_and(|(min, max)| min > max) { (max, min) } else { (min, max) };
            Asked { sort, descending, limit, category, min, max, price_ranges }
        })
}

#[test]
fn a_walk_returns_what_brute_force_does() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let database = runtime.block_on(TestDatabase::create());
    let (pool, catalog) =
        runtime.block_on(async { (database.pool(), Catalog::new(database.config()).unwrap()) });
    let mut runner = TestRunner::new(Config { cases: 60, failure_persistence: None, ..Config::default() });
    let cases = (rows(), prop::collection::vec(asked(), 6));
    runner
        .run(&cases, |(rows, queries)| {
            runtime.block_on(async {
                sqlx::query("DELETE FROM products").execute(&pool).await.unwrap();
                insert(&pool, &rows).await;
                for asked in queries {
                    let (sort, column) = SORTS[asked.sort];
                    let order = if asked.descending { "desc" } else { "ASC" };
                    let mut pairs = vec![
                        ("sort", sort.into()),
                        ("order", order.into()),
                        ("limit", asked.limit.to_string()),
                    ];
                    let category = asked.category.map(|category| categories()[category]);
                    pairs.extend(category.map(|category| ("category", category.to_owned())));
                    let price = |cents: u64| format!("{}.{:02}", cents / 100, cents % 100);
                    pairs.extend(asked.min.map(|cents| ("minPrice", price(cents))));
                    pairs.extend(asked.max.map(|cents| ("maxPrice", price(cents))));

                    let mut expected = reference(&pool, column, order).await;
                    expected.retain(|product| {
                        category.is_none_or(|category| product.category == category)
                            && asked.min.is_none_or(|min| product.price.cents() >= min)
                            && asked.max.is_none_or(|max| product.price.cents() <= max)
                    });
                    let catalog =
                        asked.price_ranges.map_or(catalog.clone(), |way| catalog.clone().answering(way));
                    let walked = walk(&catalog, &pairs).await;
                    prop_assert_eq!(ids(&walked), ids(&expected), "{:?} {:?}", pairs, asked.price_ranges);
                    prop_assert_eq!(walked, expected);
                }
                Ok(())
            })
        })
        .unwrap();
}

/// 12,000 rows: every price three times, prices rising with id, name and time, all times in groups of five.
async fn correlated(pool: &MySqlPool) {
    for batch in 0..12_u64 {
        let mut insert = sqlx::QueryBuilder::<sqlx::MySql>::new(
            "INSERT INTO products (name, description, category, price, created_at, updated_at) ",
        );
        insert.push_values(batch * 1000..(batch + 1) * 1000, |mut values, n| {
            let cents = 100 + n / 3;
            values
                .push_bind(format!("Item {:06}", n / 2))
                .push_bind("A description")
                .push_bind(["even", "odd"][usize::from(n % 2 == 1)])
                .push_bind(format!("{}.{:02}", cents / 100, cents % 100))
                .push_bind(time(i64::try_from(n / 5).unwrap()))
                .push_bind(time(0));
        });
        insert.build().execute(pool).await.unwrap();
    }
}

#[tokio::test]
async fn a_page_reads_its_own_rows_and_no_more() {
    let database = TestDatabase::create().await;
    let pool = database.pool();
    correlated(&pool).await;
    let catalog = Catalog::new(database.config()).unwrap();
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
                    let first = parse(&pairs);
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
    let catalog = Catalog::new(database.config()).unwrap();
    let deep = catalog.product(6_001).await.unwrap().unwrap();
    for sort in ["id", "price"] {
        for order in ["ASC", "DESC"] {
            for category in [None, Some("odd")] {
                let pairs = shape(sort, order, category, Some(("9.99", "9.99")));
                let first = parse(&pairs);
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
    let catalog = Catalog::new(database.config()).unwrap();
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
                let (page, rows) = catalog.list_counting_rows(&parse(&pairs)).await.unwrap();
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
    sqlx::query("UPDATE products SET id = 4611686018427387904 WHERE id = 12000")
        .execute(&pool)
        .await
        .unwrap();
    sqlx::query("ANALYZE TABLE products").fetch_all(&pool).await.unwrap();
    let catalog = Catalog::new(database.config()).unwrap();
    let deep = catalog.product(6_001).await.unwrap().unwrap();
    catalog.draw_sample().await.unwrap();
    let (mut queries, mut short) = (0, 0);
    for sort in ["id", "name", "createdAt"] {
        for order in ["ASC", "DESC"] {
            for category in [None, Some("odd")] {
                // One row in four: MySQL reads each of a walk twice, and a sample is off by some 5 %.
                let first = parse(&shape(sort, order, category, Some(("12.00", "21.99"))));
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
    let query = parse(&[("minPrice", "12.00".to_owned()), ("maxPrice", "19.99".to_owned())]);
    let page = catalog.list(&page_after(&query, &last)).await.unwrap();
    assert!(page.products.len() < 20 && page.next_cursor.is_none());
}

/// A sample of a catalogue that is another by now makes lists slower, and never wrong.
#[tokio::test]
async fn a_sample_of_other_times_changes_no_answer() {
    let database = TestDatabase::create().await;
    let pool = database.pool();
    correlated(&pool).await;
    let catalog = Catalog::new(database.config()).unwrap();
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
    let config = CatalogConfig { list_deadline: Duration::from_secs(10), ..database.config() };
    let catalog = Catalog::new(config).unwrap();
    catalog.draw_sample().await.unwrap();
    let query = parse(&[("minPrice", "39.90".to_owned()), ("maxPrice", "41.00".to_owned())]);
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
    assert_eq!(statements, 3, "it, the question to the optimiser, and the range again");
    // It had a deadline of its own; the session has its own again.
    let deadline = match catalog.session_variable("max_statement_time").await {
        Ok(seconds) => seconds,
        Err(_) => catalog.session_variable("max_execution_time").await.unwrap(),
    };
    assert!(["10.000000", "10000"].contains(&deadline.as_str()), "{deadline}");
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
    let catalog = Catalog::new(database.config()).unwrap();
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
                        let first = parse(&pairs);
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
async fn a_price_range_is_exact_far_from_the_start() {
    let database = TestDatabase::create().await;
    let pool = database.pool();
    correlated(&pool).await;
    let catalog = Catalog::new(database.config()).unwrap();
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
    let catalog = Catalog::new(database.config()).unwrap().answering(PriceRanges::Bands);
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
        assert_eq!(band, price_band(price), "{price}");
    }
    for wrong in ["price = price + 50", "price_band = price_band + 1"] {
        let update = format!("UPDATE products SET {wrong} WHERE price > 10 AND price < 1000");
        sqlx::query(sqlx::AssertSqlSafe(update)).execute(&pool).await.unwrap_err();
    }
}

#[tokio::test]
async fn categories_are_read_by_leaps() {
    let database = TestDatabase::create().await;
    let pool = database.pool();
    let catalog = Catalog::new(database.config()).unwrap();
    assert_eq!(catalog.categories().await.unwrap(), Vec::<String>::new());
    insert(&pool, &(0..8).map(|n| Row { name: n, category: n, cents: 100, minute: 0 }).collect::<Vec<_>>())
        .await;
    assert_eq!(catalog.categories().await.unwrap(), ["Sports", "dairy", "sports", "é"]);
    correlated(&pool).await;
    sqlx::query("ANALYZE TABLE products").fetch_all(&pool).await.unwrap();
    assert_eq!(catalog.categories().await.unwrap(), ["Sports", "dairy", "even", "odd", "sports", "é"]);
    // On a connection that has not planned for an empty table: MariaDB keeps to such a plan as long as the table is open.
    let catalog = Catalog::new(database.config()).unwrap();
    let rows = catalog.categories_counting_rows().await.unwrap();
    assert!(rows < 50, "{rows} rows read for 6 categories of 12,008 rows");
}

#[tokio::test]
async fn values_come_back_as_they_were_stored() {
    let database = TestDatabase::create().await;
    let pool = database.pool();
    sqlx::query(
        "INSERT INTO products (id, name, description, category, price, created_at, updated_at)
         VALUES (18446744073709551614, 'Crème 🍏', '', 'x', 99999999.99, '2024-02-29 23:59:59.999', '1999-12-31 00:00:00')",
    )
    .execute(&pool)
    .await
    .unwrap();
    let catalog = Catalog::new(database.config()).unwrap();
    let product = catalog.product(u64::MAX - 1).await.unwrap().unwrap();
    assert_eq!(product.name, "Crème 🍏");
    assert_eq!(product.price.to_string(), "99999999.99");
    assert_eq!(product.created_at.to_rfc3339(), "2024-02-29T23:59:59.999+00:00");
    assert_eq!(product.updated_at.to_rfc3339(), "1999-12-31T00:00:00+00:00");
    assert_eq!(catalog.product(1).await.unwrap(), None);
}
