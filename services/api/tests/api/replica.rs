//! `DATABASE_READ_URL`: reads beside a real replica.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use farmlokal_devstack::{Database, Redis};
use serde_json::json;
use sqlx::{Connection as _, MySqlConnection};
use tokio::task::block_in_place;

use crate::harness::{Process, client, command, fetch};
use crate::webhook::sender::{Event, SECRET, ago, try_post};

struct Servers {
    primary: Database,
    replica: Database,
    redis: Redis,
}

impl Servers {
    async fn start() -> Servers {
        let servers = block_in_place(|| {
            let primary = Database::start_primary().unwrap();
            let replica = primary.start_replica().unwrap();
            Servers { primary, replica, redis: Redis::start().unwrap() }
        });
        farmlokal_catalog::migrate(servers.primary.url().parse().unwrap()).await.unwrap();
        servers
    }

    /// The API with a replica of which only the host is told, once it is used.
    async fn api(&self, settings: &[(&str, &str)]) -> Process {
        let replica = format!("mysql://127.0.0.1:{}", self.replica.port());
        let (database, redis) = (self.primary.url(), self.redis.url());
        let urls = [("DATABASE_URL", &*database), ("REDIS_URL", &redis), ("DATABASE_READ_URL", &replica)];
        let api = Process::start(&[&urls[..], &[("WEBHOOK_SECRETS", SECRET)], settings].concat());
        api.until("/readyz", |answer| answer.status == 200).await;
        until_replica(&api, "up").await;
        api
    }

    async fn tell_replica(&self, statement: &'static str) {
        let mut connection = MySqlConnection::connect(&self.replica.url()).await.unwrap();
        sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
    }
}

async fn until_replica(api: &Process, status: &str) {
    api.until("/health", |answer| answer.json()["dependencies"]["database"]["replica"] == status).await;
}

/// Delivers an event until it has taken effect.
async fn deliver(api: &Process, event: &Event) {
    let url = format!("http://{}/webhook", api.address("listening"));
    let answer = try_post(&client(), &url, &event.headers(SECRET), event.body.to_string()).await.unwrap();
    assert_eq!((answer.status, &answer.json()["status"]), (200, &json!("applied")), "{answer:?}");
}

async fn reads(api: &Process, from: &str) -> u64 {
    let page = api.get("/metrics").await;
    let series = page.text().lines().filter(|line| {
        line.starts_with("farmlokal_db_reads_total") && line.contains(&format!("from=\"{from}\""))
    });
    series.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn misses_are_read_at_the_replica_and_events_are_seen_however_far_it_is_behind() {
    let servers = Servers::start().await;
    // A busy machine is no replica that is slow.
    let api = servers.api(&[("DB_REPLICA_TIMEOUT", "5s")]).await;
    for product in 1..=100 {
        let name = format!("Ball {product}");
        deliver(&api, &Event::upsert(product, &name, 1.0, ago(500))).await;
    }
    let before = (reads(&api, "replica").await, reads(&api, "primary").await);
    for cursor in 1..=500 {
        assert_eq!(
            api.get(&format!("/products?sort=price&limit={}&category=sports", 1 + cursor % 100)).await.status,
            200
        );
        assert_eq!(api.get(&format!("/products?cursor={}", cursor % 90)).await.status, 200);
        assert_eq!(api.get(&format!("/products?search=ball&limit={}", 1 + cursor % 100)).await.status, 200);
    }
    let after = (reads(&api, "replica").await - before.0, reads(&api, "primary").await - before.1);
    println!("{} reads at the replica, {} at the primary", after.0, after.1);
    assert!(after.0 > 100 && after.0 > 19 * after.1, "{after:?}");

    for lags in [false, true] {
        if lags {
            servers.tell_replica("STOP REPLICA SQL_THREAD").await;
        }
        for product in 1..=50 {
            let price = f64::from(u8::try_from(product).unwrap()) + if lags { 0.5 } else { 0.25 };
            let event = Event::price(product, price, ago(if lags { 100 } else { 200 }));
            deliver(&api, &event).await;
            let paths = ["/products?limit=100", "/products?search=ball&limit=100"];
            for path in paths {
                let answer = api.get(path).await.json();
                let products = answer["data"].as_array().unwrap();
                let seen = products.iter().find(|seen| seen["id"] == product).unwrap();
                assert_eq!(seen["price"], price, "{path}, lags: {lags}");
            }
            assert_eq!(api.get(&format!("/products/{product}")).await.json()["price"], price);
        }
    }
    until_replica(&api, "behind").await;
    assert_eq!(api.get("/health").await.json()["status"], "ok");
    let is_lag = |line: &str| line == "farmlokal_db_replica_lag 50";
    api.until("/metrics", |answer| answer.text().lines().any(is_lag)).await;
    servers.tell_replica("START REPLICA SQL_THREAD").await;
    until_replica(&api, "up").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_killed_under_load_costs_no_request_and_is_in_the_log() {
    let mut servers = Servers::start().await;
    let api = servers.api(&[]).await;
    deliver(&api, &Event::upsert(1, "Ball", 1.0, ago(500))).await;
    let stop = Arc::new(AtomicBool::new(false));
    let (client, base) = (client(), format!("http://{}", api.address("listening")));
    let clients: Vec<_> = (0..8_u64)
        .map(|number| {
            let (client, base, stop) = (client.clone(), base.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut answered = 0;
                while !stop.load(Ordering::Relaxed) {
                    // Another list each time, of the same product.
                    let price = 1 + number * 1_000_000 + answered;
                    let path = format!("{base}/products?sort=price&maxPrice={price}");
                    let answer = fetch(&client, &path, &[]).await.unwrap();
                    assert_eq!((answer.status, &answer.json()["data"][0]["id"]), (200, &json!(1)));
                    answered += 1;
                }
                answered
            })
        })
        .collect();
    block_in_place(|| servers.replica.kill9().unwrap());
    until_replica(&api, "down").await;
    assert_eq!(api.get("/health").await.json()["status"], "degraded");
    block_in_place(|| servers.replica.start_again().unwrap());
    until_replica(&api, "up").await;
    stop.store(true, Ordering::Relaxed);
    let mut answered = 0;
    for client in clients {
        answered += client.await.unwrap();
    }
    assert!(answered > 100, "{answered}");
    let log = api.log();
    let lines = log.iter().filter(|line| line["message"].as_str().unwrap().contains("read replica"));
    let levels: Vec<_> = lines.map(|line| line["level"].as_str().unwrap()).collect();
    assert!(levels.starts_with(&["INFO", "WARN"]) && levels.ends_with(&["INFO"]), "{log:?}");
    assert!(levels.windows(2).all(|two| two[0] != two[1]), "each state once: {log:?}");
}

#[test]
fn a_url_of_no_replica_is_refused_by_name_and_without_its_password() {
    for (bad, reason) in [
        ("postgres://u:secret@h", "the scheme is postgres"),
        ("mysql://u:secret@h:3306", "it names no database"),
        ("u:secret@h", "the scheme is u"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let output = command(directory.path()).env("DATABASE_READ_URL", bad).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains("DATABASE_READ_URL") && error.contains(reason), "{bad}: {error}");
        assert!(!error.contains("secret"), "{error}");
    }
}
