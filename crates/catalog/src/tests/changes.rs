//! What a search index is told: what changed, and of which moment the rows are that it found.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use chrono::{TimeDelta, Utc};
use farmlokal_testing::{TestDatabase, kill_other_connections};
use sqlx::MySqlPool;

use super::{
    brute_force::{Row, insert},
    catalog_config, catalog_of, correlated, ids,
};
use crate::{
    Catalog, CatalogConfig, Change, ChangePosition, Changes, Draft, Error, Event, IndexRow, Price,
    changes::MOST_CHANGED,
};

fn event(number: u64, product: u64, change: Change) -> Event {
    let occurred_at = Utc::now() - TimeDelta::seconds(100_000 - i64::try_from(number).unwrap());
    Event { id: format!("e{number}"), product, occurred_at, change, payload_hash: [7; 32] }
}

fn upsert(name: &str, cents: u64) -> Change {
    let price = Price::from_cents(cents).unwrap();
    Change::Upsert(Draft {
        name: name.to_owned(),
        description: String::new(),
        category: "sports".into(),
        price,
    })
}

async fn products_since(
    catalog: &Catalog,
    seen: &ChangePosition,
) -> (ChangePosition, BTreeMap<u64, Option<IndexRow>>) {
    let Changes::Products(now, products) = catalog.changes_since(seen).await.unwrap() else {
        panic!("everything changed");
    };
    let count = products.len();
    let products = BTreeMap::from_iter(products);
    assert_eq!(products.len(), count, "each once");
    (now, products)
}

#[tokio::test]
async fn what_changed_is_told_as_it_is_now() {
    let database = TestDatabase::create().await;
    insert(&database.pool(), &[Row { name: 0, category: 0, cents: 100, minute: 0 }]).await;
    // Each has a connection of its own, and so most likely a slot.
    let catalogs: Vec<_> = (0..3).map(|_| catalog_of(&database)).collect();
    let catalog = &catalogs[0];
    let start = catalog.change_position().await.unwrap();
    assert_eq!(start, ChangePosition::default());
    catalogs[0].apply(&event(1, 7, upsert("Ball", 100))).await.unwrap();
    catalogs[1].apply(&event(2, 8, upsert("Bat", 200))).await.unwrap();
    catalogs[2].apply(&event(3, 7, Change::PriceChange(Price::from_cents(150).unwrap()))).await.unwrap();
    let (first, products) = products_since(catalog, &start).await;
    let all = catalog.index_rows(0, 100).await.unwrap();
    assert_eq!(ids_of(&all), [1, 7, 8]);
    assert_eq!(products, BTreeMap::from([(7, Some(all[1].clone())), (8, Some(all[2].clone()))]));
    assert_eq!((all[1].product.price.cents(), all[1].product.category.as_str()), (150, "sports"));
    assert_eq!(Some(&all[1].product), catalog.product(7).await.unwrap().as_ref());
    assert_eq!((first.sum(), catalog.change_position().await.unwrap()), (3, first.clone()));
    assert_eq!(catalog.index_rows(1, 1).await.unwrap(), [all[1].clone()]);

    catalogs[1].apply(&event(4, 7, Change::Delete)).await.unwrap();
    let (second, products) = products_since(catalog, &first).await;
    assert_eq!((products, second.sum()), (BTreeMap::from([(7, None)]), 4));
    assert_eq!(products_since(catalog, &second).await, (second, BTreeMap::new()));
}

fn ids_of(rows: &[IndexRow]) -> Vec<u64> {
    rows.iter().map(|row| row.product.id).collect()
}

#[tokio::test]
async fn what_cannot_be_told_is_everything() {
    let database = TestDatabase::create().await;
    let (pool, catalog) = (database.pool(), catalog_of(&database));
    let run = async |statement: &str| {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&pool).await.unwrap();
    };
    run("INSERT INTO change_counters VALUES (1, 100000), (2, 100000), (3, 100000)").await;
    let now = catalog.change_position().await.unwrap();
    assert_eq!(products_since(&catalog, &now).await.1, BTreeMap::new());

    // One product more than is told, in three slots, each of which has few enough.
    run("INSERT INTO product_versions (product_id, newest_at, slot, change_number) VALUES (1, NOW(), 1, 1)")
        .await;
    for doubling in 0..16 {
        let statement = format!(
            "INSERT INTO product_versions (product_id, newest_at, slot, change_number) \
             SELECT product_id + {0}, newest_at, 1 + (product_id + {0}) % 3, product_id + {0} FROM product_versions",
            1 << doubling
        );
        run(&statement).await;
    }
    run(&format!("DELETE FROM product_versions WHERE product_id > {}", MOST_CHANGED + 1)).await;
    let start = ChangePosition::default();
    assert_eq!(catalog.changes_since(&start).await.unwrap(), Changes::All);
    run("DELETE FROM product_versions WHERE product_id = 1").await;
    assert_eq!(products_since(&catalog, &start).await.1.len(), MOST_CHANGED);
    run("DELETE FROM product_versions").await;

    catalog.announce_replacement().await.unwrap();
    assert_eq!(catalog.changes_since(&now).await.unwrap(), Changes::All);
    let now = catalog.change_position().await.unwrap();
    assert_eq!(products_since(&catalog, &now).await.1, BTreeMap::new());
    // A backup.
    run("UPDATE change_counters SET changes = 99999 WHERE slot = 2").await;
    run("UPDATE change_counters SET changes = 200000 WHERE slot = 3").await;
    assert_eq!(catalog.changes_since(&now).await.unwrap(), Changes::All);
    run("DELETE FROM change_counters").await;
    assert_eq!(catalog.changes_since(&now).await.unwrap(), Changes::All);
}

/// Writers of few products, by several connections, some of which are killed; and an index that follows them.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_follows_has_the_rows_of_its_moment() {
    const WRITERS: u64 = 6;
    const EVENTS: u64 = 100;
    const PRODUCTS: u64 = 10;
    let database = TestDatabase::create().await;
    let config = CatalogConfig { write_connections: 4, ..catalog_config() };
    let catalog = Catalog::new(database.options.clone(), &config).unwrap();
    let running = AtomicUsize::new(usize::try_from(WRITERS).unwrap());
    let is_running = || running.load(Ordering::Relaxed) > 0;
    let rounds = AtomicUsize::new(0);
    let write = async |writer: u64| {
        for nth in 0..EVENTS {
            let number = nth * WRITERS + writer;
            let change = match number % 7 {
                0 => Change::Delete,
                1 => Change::PriceChange(Price::from_cents(number).unwrap()),
                _ => upsert(&format!("Ball {number}"), number),
            };
            let event = event(number, 1 + number % PRODUCTS, change);
            // As a sender does, where a connection was killed while it was made.
            while let Err(error) = catalog.apply(&event).await {
                assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
            }
        }
        running.fetch_sub(1, Ordering::Relaxed);
    };
    let follow = async {
        let (mut position, mut index) = (ChangePosition::default(), BTreeMap::new());
        let (wanted, mut equal): (Vec<u64>, _) = ((1..=PRODUCTS).collect(), 0);
        loop {
            let last = !is_running();
            let (now, changed) = products_since(&catalog, &position).await;
            assert!(now.sum() >= position.sum());
            position = now;
            for (id, row) in changed {
                index.remove(&id);
                index.extend(row.map(|row| (id, (row.product.name, row.product.price))));
            }
            let (products, sum) = catalog.products_at(&wanted).await.unwrap();
            if sum == position.sum() {
                equal += 1;
                let rows = products.into_iter().map(|product| (product.id, (product.name, product.price)));
                assert_eq!(index, rows.collect());
            }
            rounds.fetch_add(1, Ordering::Relaxed);
            if last {
                assert_eq!(sum, position.sum());
                return equal;
            }
        }
    };
    let kill = async {
        let mut own = database.pool().acquire().await.unwrap();
        loop {
            // A read is tried twice, so none may be killed twice: not even when the writers are done.
            let enough = rounds.load(Ordering::Relaxed) + 10;
            while rounds.load(Ordering::Relaxed) < enough {
                if !is_running() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            kill_other_connections(&mut own).await;
        }
    };
    let writers = (write(0), write(1), write(2), write(3), write(4), write(5));
    let writers = async {
        tokio::join!(writers.0, writers.1, writers.2, writers.3, writers.4, writers.5);
    };
    let (equal, (), ()) = tokio::join!(follow, writers, kill);
    assert!(equal > 0);
}

#[tokio::test]
async fn what_was_found_comes_in_order_and_once() {
    let database = TestDatabase::create().await;
    let (pool, catalog) = (database.pool(), catalog_of(&database));
    assert_eq!(catalog.products_at(&[]).await.unwrap(), (vec![], 0));
    assert_eq!(catalog.products_at(&[5]).await.unwrap(), (vec![], 0));
    correlated(&pool).await;
    sqlx::query("INSERT INTO change_counters VALUES (0, 2), (64, 40)").execute(&pool).await.unwrap();
    let (products, sum) = catalog.products_at(&[300, 99_999, 12_000, 7, 7, 0, 1]).await.unwrap();
    assert_eq!((ids(&products), sum), (vec![300, 12_000, 7, 1], 42));
    assert_eq!(products[2], catalog.product(7).await.unwrap().unwrap());
    assert_eq!(catalog.products_at(&[]).await.unwrap(), (vec![], 42));
}

/// Scripts, cases, accents, expansions, what is ignored, and what comes before letters.
const NAMES: [&str; 32] = [
    "apple",
    "Apple",
    "ÄPPLE",
    "apple pie",
    "apple-pie",
    "applepie",
    "apple\u{a0}pie",
    "app\u{ad}le",
    "straße",
    "strasse",
    "Zebra",
    "ǆ",
    "ﬃ",
    "½ kg",
    "1/2 kg",
    "10 apples",
    "9 apples",
    "٣",
    "हिन्दी",
    "हिंदी",
    "ಕನ್ನಡ",
    "தமிழ்",
    "తెలుగు",
    "ไทย",
    "漢字",
    "漢語",
    "한국어",
    "한국",
    "🍏",
    "🍎",
    "👨\u{200d}🌾",
    "\u{1f3fb}",
];

#[tokio::test]
async fn keys_of_names_compare_as_the_database_does() {
    let database = TestDatabase::create().await;
    let (pool, catalog) = (database.pool(), catalog_of(&database));
    // As long as the column takes, each character of them with many bytes in the key.
    let long = ["ﷺ".repeat(255), format!("{}b", "ﷺ".repeat(254)), "漢".repeat(255)];
    let names: Vec<String> = NAMES.iter().map(|name| (*name).to_owned()).chain(long).collect();
    insert_names(&pool, &names).await;
    let mut rows = catalog.index_rows(0, 100).await.unwrap();
    assert_eq!(rows.len(), names.len());
    for row in &rows {
        assert_eq!(
            catalog.name_key(&row.product.name).await.unwrap(),
            row.name_key,
            "{:?}",
            row.product.name
        );
    }
    rows.sort_by(|one, other| one.name_key.cmp(&other.name_key).then(one.product.id.cmp(&other.product.id)));
    // By the index: a sort compares the first 1,024 bytes only.
    let sorted = "SELECT id FROM products FORCE INDEX (by_name) ORDER BY name, id";
    let sorted: Vec<u64> = sqlx::query_scalar(sorted).fetch_all(&pool).await.unwrap();
    assert_eq!(ids_of(&rows), sorted);
    assert_eq!(catalog.name_key("ÄPPLE").await.unwrap(), catalog.name_key("apple").await.unwrap());
}

async fn insert_names(pool: &MySqlPool, names: &[String]) {
    let mut insert =
        sqlx::QueryBuilder::<sqlx::MySql>::new("INSERT INTO products (name, description, category, price) ");
    insert.push_values(names, |mut values, name| {
        values.push_bind(name).push_bind("").push_bind("x").push_bind(1);
    });
    insert.build().execute(pool).await.unwrap();
}
