//! A million addresses, in a process of its own: its memory is what is measured.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderName, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Response};
use farmlokal_devstack::Redis;
use farmlokal_rate_limit::{ClientAddress, Config, Policy, RateLimits, limit};
use farmlokal_redis::{Connection, RedisConfig};
use tokio::task::JoinSet;
use tower::{Layer as _, Service, service_fn};

const MILLION: u32 = 1_000_000;
const CLIENTS: u32 = 20_000;
/// 20,000 clients at some 500 bytes in each of two tables, what a second brings on top, and what the allocator keeps.
const BOUND: usize = 64 << 20;

/// Resident bytes of this process.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// Sends a request as the proxy with this client's address would, and gives the status.
async fn ask<S>(service: &mut S, from: Ipv4Addr) -> u16
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    let request = Request::get("/products").header("x-forwarded-for", from.to_string());
    let request = request.extension(ConnectInfo(SocketAddr::from((Ipv4Addr::LOCALHOST, 1))));
    service.call(request.body(Body::empty()).unwrap()).await.unwrap().status().as_u16()
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_million_addresses_take_bounded_memory_and_free_nobody_of_the_limit() {
    let redis = Redis::start().unwrap();
    let connection = Connection::new(&RedisConfig::new(redis.url()), "test").unwrap();
    tokio::spawn(Arc::clone(&connection).supervise());
    while !connection.is_up() {
        tokio::task::yield_now().await;
    }
    let config = Config {
        // Permits that do not come back while this runs: no limiter can forget anybody for that reason.
        policies: vec![Policy::new("default", "100/3600".parse().unwrap(), 2)],
        classify: |_, _| 0,
        refuse: |_| StatusCode::TOO_MANY_REQUESTS.into_response(),
        address: ClientAddress {
            networks: Vec::new(),
            hops: 1,
            header: HeaderName::from_static("x-forwarded-for"),
            ipv6_prefix: 64,
        },
        clients: CLIENTS,
    };
    let mut tasks = JoinSet::new();
    let limits = RateLimits::new(config, connection, &mut tasks);
    let routes = service_fn(async |_: Request| Ok::<_, Infallible>(Response::new(Body::empty())));
    let mut service = from_fn_with_state(limits, limit).layer(routes);

    let hot = Ipv4Addr::new(203, 0, 113, 7);
    let before = resident();
    let (mut peak, mut served) = (before, 0);
    for number in 0..MILLION {
        ask(&mut service, Ipv4Addr::from_bits(0x0a00_0000 + number)).await;
        if number % 100 == 0 {
            served += usize::from(ask(&mut service, hot).await == 200);
        }
        if number % 10_000 == 0 {
            peak = peak.max(resident());
            tokio::task::yield_now().await;
        }
    }
    let grown = peak.saturating_sub(before);
    assert!(grown < BOUND, "{} MiB more", grown >> 20);
    // It asked 10,000 times. Its account stays, since it asks more than others.
    assert!((100..=200).contains(&served), "{served}");
}
