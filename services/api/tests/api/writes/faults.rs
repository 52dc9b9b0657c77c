//! The database and Redis fail, clients go away, the service ends: what becomes of writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use farmlokal_sandbox::{Config, Sandbox};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::fixture::{AUDIENCE, Client, Writer, cheese, raw, token};
use crate::faults::Fragile;
use crate::harness::{PATIENCE, client};
use crate::overload::read_to_close;
use crate::webhook::sender::{Event, SECRET, ago, problem, try_post};

/// An API whose database may be killed, and a client of it.
async fn fragile(settings: &[(&str, &str)]) -> (Fragile, Sandbox, Client) {
    let sandbox = Sandbox::start_with(Config::default()).await.unwrap();
    let auth = [("AUTH_ISSUER", sandbox.issuer()), ("AUTH_AUDIENCE", AUDIENCE)];
    let api = Fragile::start(&[&auth, settings].concat()).await;
    let client = Client { http: client(), base: api.base(), token: token(&sandbox, "products:write").await };
    let first = client.send_until_done("PUT", "/products/1", "first", &cheese().to_string()).await;
    assert_eq!(first.status, 201);
    (api, sandbox, client)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_killed_under_writes_loses_none_and_doubles_none() {
    let (mut api, _sandbox, client) = fragile(&[]).await;
    let written = Arc::<AtomicUsize>::default();
    let writers: Vec<_> = (0..8)
        .map(|number| {
            let (client, written) = (client.clone(), Arc::clone(&written));
            tokio::spawn(async move {
                for round in 0..25 {
                    let (key, body) = (format!("{number} {round}"), cheese().to_string());
                    let answer = client.send_until_done("POST", "/products", &key, &body).await;
                    assert_eq!(answer.status, 201);
                    written.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let progress = async |count: usize| {
        let deadline = Instant::now() + PATIENCE;
        while written.load(Ordering::Relaxed) < count {
            assert!(Instant::now() < deadline);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    for count in [30, 90] {
        progress(count).await;
        api.database.kill9().unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        let refused = client.send("POST", "/products", &[], &cheese().to_string()).await.unwrap();
        assert_eq!(problem(&refused), (503, "database_unavailable".into()));
        assert_eq!(refused.header("retry-after"), "1");
        api.database.start_again().unwrap();
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let list = api.until("/products?total=true&limit=1", |answer| answer.status == 200).await;
    assert_eq!(list.json()["total"], 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_stands_still_is_a_503_and_the_same_again_takes_effect_once() {
    let (api, _sandbox, client) = fragile(&[("REQUEST_TIMEOUT", "300ms")]).await;
    api.database.pause().unwrap();
    let (key, body) = ([("idempotency-key", "k")], cheese().to_string());
    for _ in 0..3 {
        let answer = client.send("POST", "/products", &key, &body).await.unwrap();
        let (status, code) = problem(&answer);
        assert!(status == 503 && ["timed_out", "database_unavailable"].contains(&code.as_str()), "{code}");
        assert_eq!(answer.header("retry-after"), "1");
    }
    api.database.resume().unwrap();
    assert_eq!(client.send_until_done("POST", "/products", "k", &body).await.status, 201);
    let all = |answer: &crate::harness::Answer| answer.status == 200 && answer.json()["total"] == 2;
    api.until("/products?total=true&limit=1", all).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_a_write_takes_effect_and_its_client_is_told_to_send_it_again() {
    let mut writer = Writer::start_with(2, &[]).await;
    let metric = "farmlokal_invalidation_failing";
    assert_eq!(writer.api.metric(metric, &[]).await, 0.0);
    writer.api.redis.stop().unwrap();
    let (key, body) = (("idempotency-key", "k"), cheese().to_string());
    for _ in 0..2 {
        let answer = writer.send("POST", "/products", &[key], &body).await;
        assert_eq!(problem(&answer), (503, "invalidation_failed".into()));
        assert_eq!(answer.header("retry-after"), "1");
    }
    assert_eq!((writer.count().await, writer.api.metric(metric, &[]).await), (3, 1.0));
    // What changes nothing need not be told to anybody.
    assert_eq!(writer.delete(99, &[]).await.status, 404);
    assert_eq!(writer.put(1, &[("if-none-match", "*")], &cheese()).await.status, 412);
    writer.api.redis.start_again().unwrap();
    let again = writer.client().send_until_done("POST", "/products", "k", &body).await;
    let path = again.header("location").to_owned();
    assert_eq!((again.status, writer.count().await), (201, 3));
    assert_eq!(writer.api.get(&path).await.json(), again.json());
    assert_eq!(writer.api.metric(metric, &[]).await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_stops_no_write_that_has_begun_and_begins_none() {
    let writer = Writer::start().await;
    let address = writer.api.url("").replace("http://", "");
    let mut held = writer.hold(1).await;
    let body = json!({"price": 77}).to_string();
    let mut gone = TcpStream::connect(&address).await.unwrap();
    let request = raw(&writer.token, "PATCH", "/products/1", body.len(), &body);
    gone.write_all(request.as_bytes()).await.unwrap();
    held.until_met().await;
    drop(gone);
    held.release().await;
    writer.api.until("/products/1", |answer| answer.json()["price"] == 77.0).await;

    // In the middle of its body.
    let mut gone = TcpStream::connect(&address).await.unwrap();
    let request =
        raw(&writer.token, "PATCH", "/products/1", body.len() + 10, &json!({"price": 99}).to_string());
    gone.write_all(request.as_bytes()).await.unwrap();
    writer.api.until("/metrics", |page| page.text().contains("http_server_active_requests 1\n")).await;
    drop(gone);
    writer.api.until("/metrics", |page| page.text().contains("http_server_active_requests 0\n")).await;
    let mut half = TcpStream::connect(&address).await.unwrap();
    half.write_all(request.as_bytes()).await.unwrap();
    half.shutdown().await.unwrap();
    let answer = read_to_close(&mut half).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert_eq!(writer.api.get("/products/1").await.json()["price"], 77.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_has_begun_is_finished_before_the_service_ends() {
    for is_patient in [true, false] {
        let mut writer = Writer::start().await;
        let mut held = writer.hold(1).await;
        let address = writer.api.url("").replace("http://", "");
        let body = json!({"price": 77}).to_string();
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let request = raw(&writer.token, "PATCH", "/products/1", body.len(), &body);
        stream.write_all(request.as_bytes()).await.unwrap();
        held.until_met().await;
        writer.api.process().signal("TERM");
        let stream = is_patient.then_some(stream);
        // The listener is closed, so nothing else begins.
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(&address).await.is_ok() {
            assert!(Instant::now() < deadline);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        held.release().await;
        if let Some(mut stream) = stream {
            let answer = read_to_close(&mut stream).await;
            assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"price\":77.00"), "{answer}");
        }
        assert_eq!(writer.api.process().ended().await.code(), Some(0));
        let price = sqlx::query_scalar("SELECT CAST(price AS CHAR) FROM products WHERE id = 1");
        let price: String = price.fetch_one(&writer.api.database.pool()).await.unwrap();
        assert_eq!(price, "77.00", "patient: {is_patient}");
    }
}

/// Each of another order of the same products, and events of them: whoever meets is tried again.
#[tokio::test(flavor = "multi_thread")]
async fn batches_in_opposite_orders_and_events_all_get_through() {
    const PRODUCTS: u64 = 8;
    let settings = [
        ("WEBHOOK_SECRETS", SECRET),
        ("DB_WRITE_CONNECTIONS", "8"),
        ("DB_ACQUIRE_TIMEOUT", "20s"),
        ("REQUEST_TIMEOUT", "20s"),
    ];
    let writer = Writer::start_with(0, &settings).await;
    let batches = (0..8_u64).map(|number| {
        let client = writer.client();
        tokio::spawn(async move {
            for round in 0..12 {
                let mut ids: Vec<_> = (1..=PRODUCTS).collect();
                ids.rotate_left(usize::try_from(round % PRODUCTS).unwrap());
                if number % 2 == 0 {
                    ids.reverse();
                }
                let operations: Vec<_> = ids
                    .iter()
                    .map(|id| json!({"action": "put", "id": id, "product": cheese()}))
                    .chain([json!({"action": "create", "product": cheese()})])
                    .collect();
                let body = json!({"operations": operations}).to_string();
                let answer = client.send("POST", "/products/batch", &[], &body).await.unwrap();
                assert_eq!(answer.status, 200, "{}", answer.text());
            }
        })
    });
    let events = (0..4_i64).map(|number| {
        let (client, url) = (writer.api.client(), writer.api.url("/webhook"));
        tokio::spawn(async move {
            for round in 0..25 {
                let id = u64::try_from(round).unwrap() % PRODUCTS + 1;
                let event = match number % 2 {
                    0 => Event::upsert(id, "Racket", 1.0, ago(number - round)),
                    _ => Event::delete(id, ago(number - round)),
                };
                let answer =
                    try_post(&client, &url, &event.headers(SECRET), event.body.to_string()).await.unwrap();
                assert_eq!(answer.status, 200, "{}", answer.text());
            }
        })
    });
    let tasks: Vec<_> = batches.chain(events).collect();
    for task in tasks {
        task.await.unwrap();
    }
    let created: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM products WHERE id > 8")
        .fetch_one(&writer.api.database.pool())
        .await
        .unwrap();
    assert_eq!(created, 96);
}

/// As before the migration that came with this version.
#[tokio::test]
async fn a_write_without_its_table_is_a_503_and_reads_go_on() {
    let writer = Writer::start().await;
    let rename = "RENAME TABLE idempotency_keys TO away";
    sqlx::raw_sql(rename).execute(&writer.api.database.pool()).await.unwrap();
    let answer = writer.send("POST", "/products", &[("idempotency-key", "k")], &cheese().to_string()).await;
    assert_eq!(problem(&answer), (503, "database_unavailable".into()));
    assert_eq!(writer.api.get("/products").await.status, 200);
}
