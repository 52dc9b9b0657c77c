//! More requests and more connections than there is room for.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::faults::Fragile;
use crate::harness::{Api, PATIENCE, Process, fetch};

/// A connection of its own, and what came back on it until the server closed it.
pub async fn exchange(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    read_to_close(&mut stream).await
}

/// All that comes until the server closes the connection, which it must.
pub async fn read_to_close(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    // A reset is an end as well.
    assert!(read.is_ok(), "the server left the connection open: {}", String::from_utf8_lossy(&answer));
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_service_says_so_and_still_answers_operators() {
    let api =
        Fragile::start(&[("MAX_REQUESTS", "2"), ("REQUEST_TIMEOUT", "20s"), ("LOCAL_CACHE_TTL", "60s")])
            .await;
    api.until("/products", |answer| answer.status == 200).await;
    api.database.pause().unwrap();
    let client = reqwest::Client::new();
    let held: Vec<_> = (1..=2)
        .map(|limit| {
            let (client, url) = (client.clone(), format!("{}/products?limit={limit}", api.base()));
            tokio::spawn(async move { fetch(&client, &url, &[]).await })
        })
        .collect();
    let full = |page: &str| page.lines().any(|line| line == "http_server_active_requests 2");
    api.until("/metrics", |answer| full(answer.text())).await;
    let refused = api.get("/products?limit=3").await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, "1"));
    assert_eq!(refused.json()["code"], "overloaded");
    // Operators have permits of their own.
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(api.get(path).await.status, 200, "{path}");
    }
    api.database.resume().unwrap();
    for held in held {
        assert!(matches!(held.await.unwrap().unwrap().status, 200 | 503));
    }
    api.until("/products", |answer| answer.status == 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_bound_get_one_answer() {
    let api = Api::with(&[("MAX_CONNECTIONS", "3"), ("HEADER_TIMEOUT", "1h")]).await;
    let address = api.url("").trim_start_matches("http://").to_owned();
    // The test's own client may hold one as well.
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(TcpStream::connect(&address).await.unwrap());
    }
    let rest = "HTTP/1.1\r\nHost: x\r\n\r\n";
    let refused = exchange(&address, &format!("GET /products {rest}")).await;
    assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("\"overloaded\""), "{refused}");
    assert!(refused.contains("retry-after: 1\r\n") && refused.contains("connection: close\r\n"), "{refused}");
    for path in ["/livez", "/readyz", "/metrics"] {
        let answer = exchange(&address, &format!("GET {path} {rest}")).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    // There are few spare connections, and nobody holds one for long.
    assert_eq!(read_to_close(&mut TcpStream::connect(&address).await.unwrap()).await, "");
    drop(held);
    tokio::time::timeout(PATIENCE, async {
        let last = "GET /products HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        while !exchange(&address, last).await.starts_with("HTTP/1.1 200 ") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("there is room again");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_bound_show_no_operators_routes_that_have_a_port_of_their_own() {
    let process = Process::start(&[
        ("DATABASE_URL", "mysql://u@127.0.0.1:1/d"),
        ("REDIS_URL", "redis://127.0.0.1:1"),
        ("MAX_CONNECTIONS", "3"),
        ("HEADER_TIMEOUT", "1h"),
        ("MANAGEMENT_PORT", "0"),
    ]);
    let address = process.address("listening").clone();
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(TcpStream::connect(&address).await.unwrap());
    }
    for path in ["/metrics", "/health", "/products"] {
        let refused = exchange(&address, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("\"overloaded\""), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_that_would_wait_too_long_for_the_database_are_refused() {
    let api = Api::with(&[
        ("DB_MAX_CONNECTIONS", "1"),
        ("DB_QUEUE_TIMEOUT", "50ms"),
        ("LOCAL_CACHE", "false"),
        ("LIST_TIMEOUT", "20s"),
        ("REQUEST_TIMEOUT", "20s"),
    ])
    .await;
    let pool = api.database.pool();
    let mut locked = pool.acquire().await.unwrap();
    sqlx::raw_sql("LOCK TABLES products WRITE").execute(&mut *locked).await.unwrap();
    let (client, url) = (api.client(), api.url("/products?limit=1"));
    let first = tokio::spawn(async move { fetch(&client, &url, &[]).await.unwrap() });
    let in_use = |page: &str| page.lines().any(|line| line == "farmlokal_db_connections{state=\"in_use\"} 1");
    api.until("/metrics", |answer| in_use(answer.text())).await;
    let refused = api.get("/products?limit=2").await;
    assert_eq!((refused.status, refused.json()["code"].as_str()), (503, Some("overloaded")));
    assert_eq!(refused.header("retry-after"), "1");
    assert!(api.metric("farmlokal_db_queue_refused_total", &[]).await > 0.0);
    assert_eq!(api.metric("farmlokal_db_queue", &[]).await, 0.0);
    // A sixteenth of it is already longer than anybody may wait.
    tokio::time::sleep(Duration::from_secs(1)).await;
    sqlx::raw_sql("UNLOCK TABLES").execute(&mut *locked).await.unwrap();
    assert_eq!(first.await.unwrap().status, 200);
    api.until("/products?limit=2", |answer| answer.status == 200).await;

    // While the next one lasts, what Redis has is answered, and only what needs the database is refused.
    sqlx::raw_sql("LOCK TABLES products WRITE").execute(&mut *locked).await.unwrap();
    let (client, url) = (api.client(), api.url("/products?limit=3"));
    let next = tokio::spawn(async move { fetch(&client, &url, &[]).await.unwrap() });
    api.until("/metrics", |answer| in_use(answer.text())).await;
    for id in 1..=20 {
        let refused = api.get(&format!("/products/{id}")).await;
        assert_eq!((refused.status, refused.header("retry-after")), (503, "1"));
        let hit = api.get("/products?limit=2").await;
        assert_eq!(hit.header("cache-status"), "FarmLokal; hit; detail=redis");
    }
    // What is wrong is told all the same.
    assert_eq!(api.get("/products?limit=0").await.status, 400);
    sqlx::raw_sql("UNLOCK TABLES").execute(&mut *locked).await.unwrap();
    assert_eq!(next.await.unwrap().status, 200);
    api.until("/products/1", |answer| answer.status != 503).await;
}

/// The process may open 400 files, of which 100 are allowed at first.
#[tokio::test]
async fn the_limit_of_open_files_is_raised_and_a_lower_one_is_a_warning() {
    // With a port for operators there are two listeners.
    for (max_connections, management, warns) in [("8192", "", true), ("100", "", false), ("100", "0", true)] {
        let shell = ["/bin/sh", "-c", "ulimit -Sn 100 && ulimit -Hn 400 && exec \"$0\""];
        let mut process = Process::start_by(
            &shell,
            &[("MAX_CONNECTIONS", max_connections), ("MANAGEMENT_PORT", management)],
        );
        process.address("listening");
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", process.id())).unwrap();
        let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
        assert_eq!(line.split_whitespace().nth(3), Some("400"), "{line}");
        let warned = process.log().iter().any(|event| {
            event["message"].as_str().is_some_and(|text| text.starts_with("MAX_CONNECTIONS does not fit"))
        });
        assert_eq!(warned, warns, "{:?}", process.log());
        process.signal("TERM");
        assert!(process.ended().await.success());
    }
}
