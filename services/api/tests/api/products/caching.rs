//! What caches see: of the service's own, and those between it and its clients.

use std::io::Read as _;
use std::time::Duration;

use crate::harness::{Answer, Api, PATIENCE, fetch};
use crate::webhook::sender::{self, Event, ago, deliver, status};

#[tokio::test]
async fn the_second_answer_comes_from_memory() {
    let api = Api::with_products(5).await;
    let first = api.get("/products").await;
    assert_eq!(first.header("cache-status"), "FarmLokal; fwd=miss");
    let second = api.get("/products?order=asc&limit=20").await;
    assert_eq!(second.header("cache-status"), "FarmLokal; hit; detail=memory");
    assert_eq!(second.body, first.body);
    assert_eq!(second.header("etag"), first.header("etag"));
}

#[tokio::test]
async fn the_first_answer_of_another_replica_comes_from_redis() {
    let api = Api::with_products(5).await;
    let first = api.get("/products").await;
    let replica = api.replica(&[("LOCAL_CACHE", "false")]);
    let url = format!("http://{}/products", replica.address("listening"));
    // The replica serves without Redis until it has connected to it.
    let deadline = std::time::Instant::now() + PATIENCE;
    let second = loop {
        let answer = fetch(&api.client(), &url, &[]).await.unwrap();
        if answer.header("cache-status") == "FarmLokal; hit; detail=redis" {
            break answer;
        }
        assert!(std::time::Instant::now() < deadline, "{answer:?}");
    };
    assert_eq!(second.body, first.body);
    assert_eq!(second.header("etag"), first.header("etag"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_fresh_in_redis_is_served_while_the_queue_for_the_database_is_full() {
    let api = Api::with_products(50).await;
    for id in 1..=50 {
        api.get(&format!("/products/{id}")).await;
    }
    let stored = async || api.metric("farmlokal_cache_fills_total", &["result=\"stored\""]).await;
    let deadline = std::time::Instant::now() + PATIENCE;
    while stored().await < 50.0 {
        assert!(std::time::Instant::now() < deadline, "not all is in Redis");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let settings = [
        ("DB_MAX_CONNECTIONS", "1"),
        ("DB_QUEUE_TIMEOUT", "50ms"),
        ("LIST_TIMEOUT", "20s"),
        ("REQUEST_TIMEOUT", "20s"),
    ];
    let replica = api.replica(&settings);
    let base = format!("http://{}", replica.address("listening"));
    let get = async |path: &str| fetch(&api.client(), &format!("{base}{path}"), &[]).await.unwrap();
    let until = async |path: &str, wanted: &dyn Fn(&Answer) -> bool| {
        while !wanted(&get(path).await) {
            assert!(std::time::Instant::now() < deadline, "{path}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    until("/health", &|answer| answer.json()["status"] == "ok").await;

    let pool = api.database.pool();
    let mut locked = pool.acquire().await.unwrap();
    sqlx::raw_sql("LOCK TABLES products WRITE").execute(&mut *locked).await.unwrap();
    let (client, url) = (api.client(), format!("{base}/products?limit=1"));
    let held = tokio::spawn(async move { fetch(&client, &url, &[]).await.unwrap() });
    let in_use = "farmlokal_db_connections{state=\"in_use\"} 1";
    until("/metrics", &|answer| answer.text().lines().any(|line| line == in_use)).await;
    // It has no turn yet to estimate the next one by, but nothing will be answered.
    for limit in 2..20 {
        assert_eq!(get(&format!("/products?limit={limit}")).await.status, 503);
    }
    for id in 1..=50 {
        let answer = get(&format!("/products/{id}")).await;
        assert_eq!(answer.header("cache-status"), "FarmLokal; hit; detail=redis", "{id}: {answer:?}");
    }
    sqlx::raw_sql("UNLOCK TABLES").execute(&mut *locked).await.unwrap();
    assert_eq!(held.await.unwrap().status, 200);
}

#[tokio::test]
async fn an_event_leaves_the_cached_answers_about_other_products_alone() {
    let api = sender::api().await;
    for id in [1, 2] {
        assert_eq!(status(&deliver(&api, &Event::upsert(id, "Racket", 8.0, ago(30))).await), "applied");
    }
    for path in ["/products/1", "/products/2", "/products"] {
        api.until(path, |answer| answer.header("cache-status").ends_with("detail=memory")).await;
    }
    assert_eq!(status(&deliver(&api, &Event::price(1, 9.5, ago(20))).await), "applied");
    assert_eq!(api.get("/products/2").await.header("cache-status"), "FarmLokal; hit; detail=memory");
    for path in ["/products/1", "/products"] {
        let answer = api.get(path).await;
        assert_eq!(answer.header("cache-status"), "FarmLokal; fwd=miss", "{path}");
        assert!(answer.text().contains("\"price\":9.50"), "{}", answer.text());
    }
}

#[tokio::test]
async fn answers_from_the_cache_say_how_old_they_are() {
    let api = Api::with_products(5).await;
    let first = api.get("/products").await;
    assert!(!first.headers.contains_key("age"), "{first:?}");
    let older = |answer: &Answer| answer.header("age").parse::<u64>().unwrap() >= 1;
    let second = api.until("/products", older).await;
    assert_eq!(second.header("cache-status"), "FarmLokal; hit; detail=memory");
    let same = api.get_with("/products", &[("if-none-match", first.header("etag"))]).await;
    assert_eq!(same.status, 304);
    assert!(older(&same), "{same:?}");
}

#[tokio::test]
async fn who_wants_no_cache_gets_nothing_from_memory() {
    let api = Api::with_products(5).await;
    for path in ["/products", "/products/1", "/products?search=e"] {
        api.until(path, |answer| answer.header("cache-status").ends_with("detail=memory")).await;
        let stored = |answer: &Answer| answer.header("cache-status").ends_with("detail=redis");
        for value in ["no-cache", "max-stale, No-Cache"] {
            let answer = api.get_with(path, &[("cache-control", value)]).await;
            assert!(stored(&answer), "{path} {value}: {answer:?}");
        }
        assert!(!stored(&api.get_with(path, &[("cache-control", "no-cachet, max-age=0")]).await), "{path}");
    }
}

#[tokio::test]
async fn a_client_that_has_the_answer_gets_304() {
    let api = Api::with_products(5).await;
    let etag = api.get("/products").await.header("etag").to_owned();
    let same = api.get_with("/products", &[("if-none-match", &etag)]).await;
    assert_eq!((same.status, same.body.len()), (304, 0));
    assert_eq!(same.header("etag"), etag);
    assert_eq!(same.header("cache-control"), "public, no-cache");
    assert_eq!(same.header("vary"), "accept-encoding");
    assert_eq!(api.get_with("/products?limit=1", &[("if-none-match", &etag)]).await.status, 200);
}

#[tokio::test]
async fn bodies_are_compressed_for_clients_that_ask() {
    let api = Api::with_products(100).await;
    let plain = api.get("/products?limit=100").await;
    assert!(!plain.headers.contains_key("content-encoding"));
    for coding in ["gzip", "br", "zstd"] {
        let answer = api.get_with("/products?limit=100", &[("accept-encoding", coding)]).await;
        assert_eq!(answer.header("content-encoding"), coding);
        // Other bytes, and so another tag.
        let tag = plain.header("etag").trim_end_matches('"');
        assert_eq!(answer.header("etag"), format!("{tag}-{coding}\""));
        let mut body = Vec::new();
        let read = match coding {
            "gzip" => flate2::read::GzDecoder::new(&*answer.body).read_to_end(&mut body),
            "br" => brotli::Decompressor::new(&*answer.body, 4096).read_to_end(&mut body),
            _ => zstd::Decoder::new(&*answer.body).unwrap().read_to_end(&mut body),
        };
        read.unwrap();
        assert_eq!(body, plain.body, "{coding}");
        assert!(answer.body.len() * 3 < body.len(), "{coding}");
    }
}

#[tokio::test]
async fn head_has_the_headers_and_no_body() {
    let api = Api::with_products(5).await;
    for _ in 0..3 {
        let (get, head) = (api.get("/products").await, api.send("HEAD", "/products").await);
        assert_eq!((head.status, head.body.len()), (200, 0));
        assert_eq!(head.header("content-length"), get.body.len().to_string());
        assert_eq!(head.header("etag"), get.header("etag"));
        // The connection goes on with the next answer.
        assert_eq!(api.get("/products").await.body, get.body);
    }
}

#[tokio::test]
async fn identical_requests_in_flight_share_one_query() {
    let api = Api::with_products(500).await;
    let path = "/products?sort=name&order=DESC&limit=100";
    let requests: Vec<_> = (0..64)
        .map(|_| {
            let (client, url) = (api.client(), api.url(path));
            tokio::spawn(async move { fetch(&client, &url, &[]).await.unwrap() })
        })
        .collect();
    let mut bodies = Vec::new();
    for request in requests {
        let answer = request.await.unwrap();
        assert_eq!(answer.status, 200);
        bodies.push(answer.body);
    }
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]));
    let queries = api.metric("farmlokal_db_query_duration_seconds_count", &["statement=\"page\""]).await;
    assert_eq!(queries, 1.0);
}
