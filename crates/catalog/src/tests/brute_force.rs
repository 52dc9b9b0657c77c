//! Lists of random data against a brute-force reference.

use farmlokal_testing::TestDatabase;
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use sqlx::MySqlPool;

use super::{SORTS, catalog_of, ids, reference, time, walk};
use crate::MAX_PRODUCT_ID;

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
pub(crate) struct Row {
    pub(crate) name: usize,
    pub(crate) category: usize,
    pub(crate) cents: u64,
    pub(crate) minute: i64,
}

fn categories() -> [&'static str; 4] {
    ["sports", "Sports", "dairy", "é"]
}

pub(crate) async fn insert(pool: &MySqlPool, rows: &[Row]) {
    let mut insert = sqlx::QueryBuilder::<sqlx::MySql>::new(
        "INSERT INTO products (name, description, category, price, created_at, updated_at) ",
    );
    insert.push_values(rows, |mut values, row| {
        let name = NAMES[row.name % NAMES.len()];
        values
            .push_bind(name)
            .push_bind("")
            .push_bind(categories()[row.category % 4])
            .push_bind(format!("{}.{:02}", row.cents / 100, row.cents % 100))
            .push_bind(time(row.minute))
            .push_bind(time(row.minute));
    });
    insert.build().execute(pool).await.unwrap();
}

#[derive(Clone, Debug)]
struct Asked {
    sort: usize,
    descending: bool,
    limit: u32,
    category: Option<usize>,
    min: Option<u64>,
    max: Option<u64>,
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (0..NAMES.len(), 0..4_usize, cents(), 0..4_i64)
        .prop_map(|(name, category, cents, minute)| Row { name, category, cents, minute });
    prop::collection::vec(row, 1..60)
}

/// Few, so that many products have one price.
fn cents() -> impl Strategy<Value = u64> {
    (0..6_u64).prop_map(|step| step * 50)
}

fn asked() -> impl Strategy<Value = Asked> {
    (
        0..4_usize,
        any::<bool>(),
        1..8_u32,
        prop::option::of(0..4_usize),
        prop::option::of(cents()),
        prop::option::of(cents()),
    )
        .prop_map(|(sort, descending, limit, category, min, max)| {
            let (min, max) = match min.zip(max) {
                // No index has a range of prices in another order.
                _ if SORTS[sort].0 != "price" => (None, None),
                Some((min, max)) if min > max => (Some(max), Some(min)),
                _ => (min, max),
            };
            Asked { sort, descending, limit, category, min, max }
        })
}

#[test]
fn a_walk_returns_what_brute_force_does() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let database = runtime.block_on(TestDatabase::create());
    let (pool, catalog) = runtime.block_on(async { (database.pool(), catalog_of(&database)) });
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
                    let walked = walk(&catalog, &pairs).await;
                    prop_assert_eq!(ids(&walked), ids(&expected), "{:?}", pairs);
                    prop_assert_eq!(walked, expected);
                }
                Ok(())
            })
        })
        .unwrap();
}

#[tokio::test]
async fn values_come_back_as_they_were_stored() {
    let database = TestDatabase::create().await;
    let pool = database.pool();
    sqlx::query(
        "INSERT INTO products (id, name, description, category, price, created_at, updated_at)
         VALUES (9007199254740991, 'Crème 🍏', '', 'x', 99999999.99, '2024-02-29 23:59:59.999', '1999-12-31 00:00:00')",
    )
    .execute(&pool)
    .await
    .unwrap();
    let catalog = catalog_of(&database);
    let product = catalog.product(MAX_PRODUCT_ID).await.unwrap().unwrap();
    assert_eq!(product.name, "Crème 🍏");
    assert_eq!(product.price.to_string(), "99999999.99");
    assert_eq!(product.created_at.to_rfc3339(), "2024-02-29T23:59:59.999+00:00");
    assert_eq!(product.updated_at.to_rfc3339(), "1999-12-31T00:00:00+00:00");
    assert_eq!(catalog.product(1).await.unwrap(), None);
}
