//! What a check costs for a client that is known: `cargo run --release -p farmlokal-rate-limit --example hot_client`. Needs a
//! Redis (`REDIS_URL`), to which the reports go. No metrics recorder is installed.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use farmlokal_rate_limit::{Client, Limiter, Policy};
use farmlokal_redis::{Connection, RedisConfig};

const CHECKS: u32 = 2_000_000;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let url = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1:6379".into());
    let connection = Connection::new(&RedisConfig::new(url), "example").unwrap();
    tokio::spawn(Arc::clone(&connection).supervise());
    while !connection.is_up() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let policy = Policy::new("example", "1000000/1".parse().unwrap(), 2);
    let mut limiter = Limiter::new(connection, &[policy], 50_000);
    for clients in [1, 1_000] {
        let clients: Vec<_> =
            (0..clients).map(|number| Client::new(Ipv4Addr::from_bits(number).into(), 64)).collect();
        // Twice: once to get warm.
        for round in 0..2 {
            let (started, mut waits) = (Instant::now(), 0_u32);
            for client in clients.iter().cycle().take(CHECKS as usize) {
                if black_box(limiter.check(0, *client)).is_none() {
                    waits += 1;
                    limiter.wait(0, *client).await;
                }
            }
            let each = started.elapsed() / CHECKS;
            if round == 1 {
                println!("{} clients by turns: {each:?} a check, {waits} of {CHECKS} waited", clients.len());
            }
        }
    }
}
