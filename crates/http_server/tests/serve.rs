//! On real sockets.
#![allow(clippy::unwrap_used, missing_docs)]

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::{Router, routing::get};
use farmlokal_http_server::{Limits, bind, serve, serve_operators};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tower::{ServiceBuilder, service_fn};

/// All that comes back for `request` until the server closes the connection.
async fn exchange(address: std::net::SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// Limits of tower panic when they are called without having been asked whether they are ready.
#[tokio::test]
async fn a_limit_of_tower_works_around_everything() {
    let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let answer = service_fn(async |_: Request| Ok::<_, Infallible>(Response::new(Body::from("ok"))));
    let service = ServiceBuilder::new().concurrency_limit(1).service(answer);
    let (shutdown, grace) = (CancellationToken::new(), Duration::from_secs(20));
    let served =
        tokio::spawn(serve(listener, service.clone(), service, Limits::default(), shutdown.clone(), grace));
    let request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    let last = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answers = exchange(address, &format!("{request}{request}{last}")).await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 3, "{answers}");
    shutdown.cancel();
    assert!(served.await.unwrap());
}

#[tokio::test]
async fn operators_need_a_host_too() {
    let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve_operators(listener, Router::new().route("/livez", get(async || "ok\n"))));
    for (request, status) in [
        ("GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "200"),
        ("GET /livez HTTP/1.0\r\n\r\n", "200"),
        ("GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n", "400"),
        ("GET /livez HTTP/1.1\r\nHost: x\r\nHost: x\r\nConnection: close\r\n\r\n", "400"),
        ("GET /nowhere HTTP/1.1\r\nHost: x y\r\nConnection: close\r\n\r\n", "400"),
    ] {
        let answer = exchange(address, request).await;
        assert_eq!(&answer[9..12], status, "{request}: {answer}");
    }
}
