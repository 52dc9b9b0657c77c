//! Searches: short words, stopwords, anything a client may type; and the guards.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::time::Duration;

use farmlokal_catalog::{Catalog, Error, Refusal, short_words};
use farmlokal_testing::{TestDatabase, query};
use sqlx::MySqlPool;
use tokio::net::{TcpListener, TcpStream};

async fn insert(pool: &MySqlPool, products: &[(&str, &str, &str, &str)]) {
    for (name, description, category, price) in products {
        sqlx::query(
            "INSERT INTO products (name, description, category, price, short_words) VALUES (?, ?, ?, ?, ?)",
        )
        .bind(name)
        .bind(description)
        .bind(category)
        .bind(price)
        .bind(short_words(name, description))
        .execute(pool)
        .await
        .unwrap();
    }
}

async fn names(catalog: &Catalog, search: &str) -> Vec<String> {
    let page = catalog.list(&query(&[("search", search), ("sort", "id")])).await.unwrap();
    page.products.into_iter().map(|product| product.name).collect()
}

#[tokio::test]
async fn finds_what_the_full_text_parser_drops() {
    let database = TestDatabase::create().await;
    let long = "x".repeat(100);
    insert(
        &database.pool(),
        &[
            ("Jersey XL", "for the tall", "sports", "30"),
            ("Milk 2L", "The best milk", "dairy", "2"),
            ("Flour 1kg", "It's O'Brien's half-fat flour", "bakery", "1"),
            ("Crème brûlée", "Thé à la crème", "dairy", "4"),
            ("Ball", "a ball with a snake_case _name_", "sports", "5"),
            (&long, "", "paper", "6"),
            ("Ice cream 🍏", "C++ (really) 100% \"quoted\"", "dairy", "7"),
        ],
    )
    .await;
    let catalog = Catalog::new(database.config()).unwrap();
    for (search, expected) in [
        ("XL", vec!["Jersey XL"]),
        ("xl jersey", vec!["Jersey XL"]),
        ("2L", vec!["Milk 2L"]),
        ("1kg", vec!["Flour 1kg"]),
        ("the", vec!["Jersey XL", "Milk 2L", "Crème brûlée"]),
        ("thé", vec!["Jersey XL", "Milk 2L", "Crème brûlée"]),
        ("with", vec!["Ball"]),
        ("o'brien's", vec!["Flour 1kg"]),
        ("half-fat", vec!["Flour 1kg"]),
        ("fat half", vec!["Flour 1kg"]),
        ("creme BRULEE", vec!["Crème brûlée"]),
        ("snake_case", vec!["Ball"]),
        ("name", vec!["Ball"]),
        ("_name_", vec!["Ball"]),
        (&long, vec![long.as_str()]),
        ("🍏 cream", vec!["Ice cream 🍏"]),
        ("c++", vec!["Ice cream 🍏"]),
        ("\"quoted\" 100%", vec!["Ice cream 🍏"]),
        ("milk jersey", vec![]),
        ("balls", vec![]),
        ("xxl", vec![]),
    ] {
        assert_eq!(names(&catalog, search).await, expected, "{search}");
    }
}

#[tokio::test]
async fn no_input_is_a_database_error() {
    let database = TestDatabase::create().await;
    insert(&database.pool(), &[("Ball", "", "sports", "5")]).await;
    let catalog = Catalog::new(database.config()).unwrap();
    let operators =
        ["+", "-", "*", "<", ">", "(", ")", "~", "@", "\"", "'", "%", "\\", "`", ";", "--", "/*", "\0", "\n"];
    for operator in operators {
        for search in
            [format!("{operator}ball"), format!("ball{operator}"), format!("{operator}ball{operator}")]
        {
            assert_eq!(names(&catalog, &search).await, ["Ball"], "{search}");
        }
        assert_eq!(names(&catalog, &format!("ball {operator} xl{operator}2")).await, Vec::<String>::new());
    }
    for search in [
        "ա\u{616}\u{2c6f}x",
        "क्षेत्र",
        "日本語",
        "\u{300}\u{301}ab",
        "ﬁsh ẞ İ ı ǅ",
        "ﷺ",
        "߷ ᠮᠣ",
        &"w".repeat(200),
    ] {
        names(&catalog, search).await;
    }
}

#[tokio::test]
async fn a_walk_returns_every_match_once_in_every_sort() {
    let database = TestDatabase::create().await;
    let pool = database.pool();
    let products: Vec<(String, String)> = (0..60)
        .map(|n| {
            let name = ["Red ball", "Ball", "Red thing", "Thing"][n % 4];
            let description = if n % 5 == 0 { "only a ball" } else { "a red ball for XL" };
            (format!("{name} {}", n / 8), description.to_owned())
        })
        .collect();
    let rows: Vec<_> = products
        .iter()
        .enumerate()
        .map(|(n, (name, text))| {
            (name.as_str(), text.as_str(), ["a", "b"][n % 2], ["1", "2.5", "2.50", "9"][n % 4])
        })
        .collect();
    insert(&pool, &rows).await;
    let catalog = Catalog::new(database.config()).unwrap();
    let all: Vec<(u64, String, String)> =
        sqlx::query_as("SELECT id, LOWER(CONCAT(name, ' ', description)), LOWER(name) FROM products")
            .fetch_all(&pool)
            .await
            .unwrap();
    for (sort, order) in [
        ("relevance", "DESC"),
        ("relevance", "ASC"),
        ("id", "ASC"),
        ("price", "DESC"),
        ("name", "ASC"),
        ("createdAt", "DESC"),
    ] {
        for filters in [vec![], vec![("category", "a"), ("minPrice", "2")]] {
            let mut found = Vec::new();
            let mut cursor: Option<String> = None;
            loop {
                let mut pairs =
                    vec![("search", "RED ball"), ("sort", sort), ("order", order), ("limit", "7")];
                pairs.extend(&filters);
                pairs.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
                let page = catalog.list(&query(&pairs)).await.unwrap();
                found.extend(page.products);
                cursor = page.next_cursor.map(|cursor| cursor.to_string());
                if cursor.is_none() {
                    break;
                }
            }
            let mut expected: Vec<u64> = all
                .iter()
                .filter(|(_, text, _)| text.contains("red") && text.contains("ball"))
                .map(|(id, ..)| *id)
                .collect();
            if !filters.is_empty() {
                // Odd ids are in category "a"; of the four prices, every second such row costs 2.50.
                expected.retain(|id| id % 4 == 3);
            }
            let mut ids: Vec<u64> = found.iter().map(|product| product.id).collect();
            if sort == "relevance" {
                let score = |id: u64| {
                    let name = &all.iter().find(|row| row.0 == id).unwrap().2;
                    u8::from(name.contains("red")) + u8::from(name.contains("ball"))
                };
                let mut ordered = expected.clone();
                ordered.sort_by_key(|&id| (score(id), id));
                if order == "DESC" {
                    ordered.reverse();
                }
                assert_eq!(ids, ordered, "{order} {filters:?}");
            }
            ids.sort_unstable();
            assert!(!expected.is_empty());
            assert_eq!(ids, expected, "{sort} {order} {filters:?}");
        }
    }
}

#[tokio::test]
async fn searches_that_owe_time_are_refused_and_lists_are_not() {
    let database = TestDatabase::create().await;
    insert(&database.pool(), &[("Ball", "", "sports", "5")]).await;
    let mut config = database.config();
    config.search.burst = Duration::from_nanos(1);
    config.search.time_share = 0.000_001;
    config.search.queue_timeout = Duration::from_millis(50);
    let catalog = Catalog::new(config).unwrap();
    let search = query(&[("search", "ball")]);
    catalog.list(&search).await.unwrap();
    match catalog.list(&search).await {
        Err(Error::SearchRefused { reason: Refusal::Budget, retry_after }) => {
            assert!(retry_after > Duration::ZERO);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(catalog.list(&query(&[])).await.unwrap().products.len(), 1);
}

#[tokio::test]
async fn without_its_index_a_search_is_refused_and_a_list_is_not() {
    let database = TestDatabase::create().await;
    insert(&database.pool(), &[("Ball", "", "sports", "5")]).await;
    sqlx::query("ALTER TABLE products DROP INDEX by_words").execute(&database.pool()).await.unwrap();
    let catalog = Catalog::new(database.config()).unwrap();
    match catalog.list(&query(&[("search", "ball")])).await {
        Err(Error::SearchRefused { reason: Refusal::NoIndex, .. }) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(catalog.list(&query(&[])).await.unwrap().products.len(), 1);
}

/// An address that leads to the database, where each connection takes so long to be made.
async fn slow_connections(database: &TestDatabase, delay: Duration) -> u16 {
    let (host, port) = (database.options.get_host().to_owned(), database.options.get_port());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let host = host.clone();
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                let mut server = TcpStream::connect((host, port)).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    address.port()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_that_a_connection_takes_is_not_taken_from_the_budget() {
    let database = TestDatabase::create().await;
    insert(&database.pool(), &[("Ball", "", "sports", "5")]).await;
    let delay = Duration::from_secs(2);
    let mut config = database.config();
    config.connect = config.connect.host("127.0.0.1").port(slow_connections(&database, delay).await);
    config.acquire_timeout = Duration::from_secs(60);
    config.search.burst = Duration::from_secs(1);
    config.search.time_share = 0.000_001;
    config.search.queue_timeout = Duration::from_millis(50);
    let catalog = Catalog::new(config).unwrap();
    let started = std::time::Instant::now();
    for _ in 0..2 {
        catalog.list(&query(&[("search", "ball")])).await.unwrap();
    }
    assert!(started.elapsed() > delay);
}
