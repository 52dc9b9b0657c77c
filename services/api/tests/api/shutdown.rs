//! SIGTERM: readiness goes first, requests in flight finish, the process ends with 0.

use std::time::Duration;

use farmlokal_devstack::{Database, Redis};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::harness::{Api, PATIENCE, Process, client, fetch};
use crate::overload::read_to_close;
use crate::slow_clients::used;

#[tokio::test]
async fn an_idle_service_ends_at_once() {
    let mut api = Api::empty().await;
    api.process().signal("INT");
    assert_eq!(api.process().ended().await.code(), Some(0));
    // What it said last may still be on its way to the test.
    let deadline = std::time::Instant::now() + PATIENCE;
    while !api.process().log().iter().any(|event| event["message"] == "bye") {
        assert!(std::time::Instant::now() < deadline);
    }
}

#[tokio::test]
async fn readiness_goes_first_and_requests_still_get_answers() {
    let mut api = Api::with(&[("SHUTDOWN_DELAY", "1s")]).await;
    api.process().signal("TERM");
    let answer = api.until("/readyz", |answer| answer.status == 503).await;
    assert_eq!(answer.text(), "shutting down\n");
    let last = api.get("/products").await;
    assert_eq!(last.status, 200);
    // So that no client sends its next request just as the connection is closed.
    assert_eq!(last.header("connection"), "close");
    assert_eq!(api.process().ended().await.code(), Some(0));
}

/// Of a new connection, and of one that has had an answer.
#[tokio::test]
async fn headers_that_are_not_whole_are_not_waited_for() {
    let mut api = Api::with(&[("SHUTDOWN_TIMEOUT", "1h"), ("HEADER_TIMEOUT", "1h")]).await;
    let address = api.url("").trim_start_matches("http://").to_owned();
    let mut streams = [TcpStream::connect(&address).await.unwrap(), used(&address).await];
    for stream in &mut streams {
        stream.write_all(b"GET /products HTTP/1.1\r\nHo").await.unwrap();
    }
    // Until the service has read them.
    tokio::time::sleep(Duration::from_millis(100)).await;
    api.process().signal("TERM");
    for stream in &mut streams {
        assert_eq!(read_to_close(stream).await, "");
    }
    assert_eq!(api.process().ended().await.code(), Some(0));
}

/// A database that stands still makes a request that is in flight for as long as the test wants.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_flight_is_finished() {
    let (database, redis) = (Database::start().unwrap(), Redis::start().unwrap());
    farmlokal_catalog::migrate(database.url().parse().unwrap()).await.unwrap();
    let (database_url, redis_url) = (database.url(), redis.url());
    let settings = [("DATABASE_URL", database_url.as_str()), ("REDIS_URL", redis_url.as_str())];
    let mut process = Process::start(&settings);
    let url = |path: &str| format!("http://{}{path}", process.address("listening"));
    let client = client();
    let deadline = std::time::Instant::now() + PATIENCE;
    while fetch(&client, &url("/readyz"), &[]).await.unwrap().status != 200 {
        assert!(std::time::Instant::now() < deadline);
    }
    // One query, so that its connection is open and the next does not need a new one.
    assert_eq!(fetch(&client, &url("/products"), &[]).await.unwrap().status, 200);

    database.pause().unwrap();
    let slow = {
        let (client, url) = (client.clone(), url("/products?sort=name"));
        tokio::spawn(async move { fetch(&client, &url, &[]).await })
    };
    let metrics = url("/metrics");
    let in_flight = async || {
        let page = fetch(&client, &metrics, &[]).await.unwrap();
        // Operators' requests, such as this, are not counted.
        page.text().lines().any(|line| line == "http_server_active_requests 1")
    };
    while !in_flight().await {
        assert!(std::time::Instant::now() < deadline);
    }
    process.signal("TERM");
    tokio::time::sleep(Duration::from_millis(100)).await;
    database.resume().unwrap();
    assert_eq!(slow.await.unwrap().unwrap().status, 200);
    assert_eq!(process.ended().await.code(), Some(0));
}
