//! Clients that send too slowly, too much, or never read: on real sockets.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{Api, PATIENCE};
use crate::overload::{exchange, read_to_close};
use crate::webhook::sender::SECRET;

/// The API with these settings, and its address.
async fn start(settings: &[(&str, &str)]) -> (Api, String) {
    let api = Api::with(settings).await;
    let address = api.url("").trim_start_matches("http://").to_owned();
    (api, address)
}

/// Sends a byte of a header now and then, which does not keep the connection open.
async fn dribble(loris: &mut TcpStream) {
    loris.write_all(b"GET /products HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    let deadline = Instant::now() + PATIENCE;
    while loris.write_all(b"a").await.is_ok() {
        assert!(Instant::now() < deadline, "the connection stays open");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A connection on which a request has been answered.
pub async fn used(address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"ok\n") {
        assert!(stream.read_buf(&mut answer).await.unwrap() > 0, "{}", String::from_utf8_lossy(&answer));
    }
    stream
}

#[tokio::test]
async fn headers_that_never_end_end_the_connection() {
    let (api, address) = start(&[("HEADER_TIMEOUT", "300ms")]).await;
    dribble(&mut TcpStream::connect(&address).await.unwrap()).await;
    dribble(&mut used(&address).await).await;
    assert_eq!(api.get("/products").await.status, 200);
}

#[tokio::test]
async fn headers_that_stand_still_end_the_connection() {
    let (_api, address) = start(&[("HEADER_TIMEOUT", "300ms")]).await;
    let half = b"GET /livez HTTP/1.1\r\nHo";
    for mut stream in [TcpStream::connect(&address).await.unwrap(), used(&address).await] {
        stream.write_all(half).await.unwrap();
        assert_eq!(read_to_close(&mut stream).await, "");
    }
}

#[tokio::test]
async fn a_connection_that_never_asks_anything_is_closed_soon() {
    let (_api, address) = start(&[("HEADER_TIMEOUT", "300ms")]).await;
    let mut silent = TcpStream::connect(&address).await.unwrap();
    assert_eq!(read_to_close(&mut silent).await, "");
}

#[tokio::test]
async fn a_connection_may_idle_for_as_long_as_headers_may_take() {
    let (_api, address) = start(&[]).await;
    let mut idle = used(&address).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    idle.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let answer = read_to_close(&mut idle).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");

    let (_api, address) = start(&[("HEADER_TIMEOUT", "300ms")]).await;
    assert_eq!(read_to_close(&mut used(&address).await).await, "");
}

#[tokio::test]
async fn a_client_that_never_reads_is_dropped() {
    let (api, address) = start(&[("WRITE_TIMEOUT", "300ms")]).await;
    let mut deaf = TcpStream::connect(&address).await.unwrap();
    let requests = "GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1_000);
    // Some thousand answers fill every buffer on the way; then the server waits, and then it does not.
    let sent =
        tokio::time::timeout(PATIENCE, async { while deaf.write_all(requests.as_bytes()).await.is_ok() {} });
    assert!(sent.await.is_ok(), "the connection stays open");
    assert_eq!(api.get("/livez").await.status, 200);
}

#[tokio::test]
async fn headers_are_bounded() {
    let (_api, address) = start(&[("HEADER_TIMEOUT", "1s")]).await;
    let head = |fields: &str| format!("GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{fields}\r\n");
    assert!(exchange(&address, &head("X-A: b\r\n")).await.starts_with("HTTP/1.1 200 "));
    let long = exchange(&address, &head(&format!("X-A: {}\r\n", "b".repeat(20_000)))).await;
    assert!(long.starts_with("HTTP/1.1 431 "), "{long}");
    let many = exchange(&address, &head(&"X-A: b\r\n".repeat(100))).await;
    assert!(many.starts_with("HTTP/1.1 431 "), "{many}");
}

#[tokio::test]
async fn bodies_are_bounded_in_size() {
    let (_api, address) = start(&[("MAX_BODY", "1000"), ("WEBHOOK_SECRETS", SECRET)]).await;
    let head = "POST /webhook HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
    let fits = exchange(&address, &format!("{head}Content-Length: 1000\r\n\r\n{}", "x".repeat(1_000))).await;
    assert!(fits.starts_with("HTTP/1.1 401 "), "{fits}");
    // Refused by its own account, before any of it is sent.
    let announced = exchange(&address, &format!("{head}Content-Length: 1001\r\n\r\n")).await;
    assert!(
        announced.starts_with("HTTP/1.1 413 ") && announced.contains("\"body_too_large\""),
        "{announced}"
    );
    let chunk = format!("1f4\r\n{}\r\n", "x".repeat(500));
    let chunks = format!("{head}Transfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n", chunk.repeat(3));
    let chunked = exchange(&address, &chunks).await;
    assert!(chunked.starts_with("HTTP/1.1 413 "), "{chunked}");
    let malformed =
        exchange(&address, &format!("{head}Transfer-Encoding: chunked\r\n\r\nnonsense\r\n\r\n")).await;
    assert!(malformed.starts_with("HTTP/1.1 400 "), "{malformed}");
}

/// Other routes than `/webhook` read none: whoever sends one gets the answer, and loses the connection.
#[tokio::test]
async fn a_body_that_nobody_wants_is_not_waited_for() {
    let (_api, address) = start(&[("BODY_TIMEOUT", "1h")]).await;
    for (method, status) in [("GET", "200"), ("POST", "405")] {
        let request = format!("{method} /products HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nx");
        let answer = exchange(&address, &request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
}

#[tokio::test]
async fn a_body_has_to_arrive_in_time() {
    let (_api, address) = start(&[("BODY_TIMEOUT", "300ms"), ("WEBHOOK_SECRETS", SECRET)]).await;
    let slow =
        exchange(&address, "POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345").await;
    assert!(slow.starts_with("HTTP/1.1 408 ") && slow.contains("\"body_too_slow\""), "{slow}");
}
