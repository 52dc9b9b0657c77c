//! What caches see: of the service's own, and those between it and its clients.

use std::io::Read as _;

use crate::harness::{Api, PATIENCE, fetch};

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
    let (database_url, redis_url) = (api.database.url(), api.redis.url());
    let settings = [
        ("DATABASE_URL", database_url.as_str()),
        ("REDIS_URL", redis_url.as_str()),
        ("LOCAL_CACHE", "false"),
    ];
    let replica = crate::harness::Process::start(&settings);
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
        assert_eq!(answer.header("etag"), plain.header("etag"));
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
    // From a route, then from what is remembered by its URI.
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
