//! The search index of a process: while it is built, and how fresh it is.

use std::process::Command;

use farmlokal_devstack::Redis;
use farmlokal_testing::TestDatabase;

use crate::harness::{Api, Process, command, insert_products};
use crate::webhook::sender::{Event, SECRET, ago, deliver, status};

#[tokio::test(flavor = "multi_thread")]
async fn without_its_index_a_process_serves_lists_at_once() {
    let (database, redis) = (TestDatabase::create().await, Redis::start().unwrap());
    insert_products(&database, 20).await;
    // An index starts by reading it, and lists do not.
    let mut locked = database.pool().acquire().await.unwrap();
    sqlx::raw_sql("LOCK TABLES change_counters WRITE").execute(&mut *locked).await.unwrap();
    let (database_url, redis_url) = (database.url(), redis.url());
    let urls = [("DATABASE_URL", database_url.as_str()), ("REDIS_URL", redis_url.as_str())];
    let (patient, impatient) =
        (Process::start(&urls), Process::start(&[&urls[..], &[("SEARCH_READY_TIMEOUT", "0s")]].concat()));
    patient.until("/readyz", |answer| answer.text() == "building the search index\n").await;
    impatient.until("/readyz", |answer| answer.status == 200).await;
    for process in [&patient, &impatient] {
        assert_eq!(process.get("/products?limit=2").await.ids(), [1, 2]);
        assert_eq!(process.get("/products/7").await.status, 200);
        for path in ["/products?search=ball", "/products?total=true", "/products/suggest?q=bal"] {
            let answer = process.get(path).await;
            assert_eq!((answer.status, answer.json()["code"].as_str()), (503, Some("search_unavailable")));
            assert_eq!(answer.header("retry-after"), "5", "{path}");
        }
        let health = process.get("/health").await;
        assert_eq!((health.status, health.json()["status"].as_str()), (200, Some("degraded")));
        assert_eq!(health.json()["dependencies"]["search"]["status"], "building");
    }
    sqlx::raw_sql("UNLOCK TABLES").execute(&mut *locked).await.unwrap();
    patient.until("/readyz", |answer| answer.status == 200).await;
    for process in [&patient, &impatient] {
        let answer = process.until("/products?search=ball&sort=id", |answer| answer.status == 200).await;
        assert_eq!(answer.ids(), [7, 14]);
        let health = process.until("/health", |answer| answer.json()["status"] == "ok").await;
        assert_eq!(health.json()["dependencies"]["search"]["documents"], 20);
    }
}

#[tokio::test]
async fn a_catalogue_that_is_too_large_is_said_to_be() {
    let api = Api::with_products_and(20, &[("SEARCH_MEMORY", "1KiB")]).await;
    assert_eq!(api.get("/products?limit=2").await.ids(), [1, 2]);
    let answer =
        api.until("/products?search=ball", |answer| !answer.headers.contains_key("retry-after")).await;
    assert_eq!((answer.status, answer.json()["code"].as_str()), (503, Some("search_unavailable")));
    assert!(answer.json()["detail"].as_str().unwrap().contains("SEARCH_MEMORY"), "{}", answer.text());
    let health = api.get("/health").await;
    assert_eq!((health.status, health.json()["status"].as_str()), (200, Some("degraded")));
    assert_eq!(health.json()["dependencies"]["search"], serde_json::json!({"status": "tooLarge"}));
    assert_eq!(api.metric("farmlokal_search_too_large", &[]).await, 1.0);
}

/// Whatever a sender was told is found by whoever asks afterwards, wherever.
#[tokio::test(flavor = "multi_thread")]
async fn a_search_is_as_fresh_as_the_last_event_in_every_replica() {
    // The second hears of changes, the third has to ask for them.
    let api = Api::with_products_and(200, &[("WEBHOOK_SECRETS", SECRET)]).await;
    let replicas = [api.replica(&[]), api.replica(&[("LOCAL_CACHE", "false"), ("SEARCH_POLL", "1h")])];
    for replica in &replicas {
        replica.until("/readyz", |answer| answer.status == 200).await;
    }
    for step in 0..30 {
        let (id, seconds) = (1_000 + step, 3_600 - i64::try_from(step).unwrap());
        let name = format!("Racket R{step}");
        assert_eq!(status(&deliver(&api, &Event::upsert(id, &name, 5.5, ago(seconds))).await), "applied");
        let path = format!("/products?search=racket%20r{step}");
        for found in [api.get(&path).await, replicas[0].get(&path).await, replicas[1].get(&path).await] {
            assert_eq!(found.ids(), [id], "{step}");
        }
        // Found by what it is now, and by that alone.
        assert_eq!(status(&deliver(&api, &Event::price(id, 7_777.0, ago(seconds - 100))).await), "applied");
        let range = "/products?minPrice=7777&maxPrice=7777&sort=name&total=true";
        for found in [replicas[0].get(range).await, replicas[1].get(range).await] {
            assert_eq!((found.ids(), found.json()["total"].as_u64()), (vec![id], Some(1)), "{step}");
        }
        assert_eq!(status(&deliver(&api, &Event::delete(id, ago(seconds - 200))).await), "applied");
        for gone in [replicas[0].get(&path).await, replicas[1].get(&path).await, api.get(&path).await] {
            assert_eq!(gone.ids(), [0; 0], "{step}");
        }
    }
}

#[tokio::test]
async fn synonyms_and_the_language_are_settings() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("synonyms.txt");
    std::fs::write(&file, "# games\nball, sphere, orb\n").unwrap();
    let settings = [("SEARCH_SYNONYMS", file.to_str().unwrap()), ("SEARCH_LANGUAGE", "none")];
    let api = Api::with_products_and(20, &settings).await;
    assert_eq!(api.get("/products?search=orb&sort=id").await.ids(), [7, 14]);
    let level = async |search: &str| {
        let body = api.get(&format!("/products?search={search}")).await.json();
        body["corrections"]["level"].as_str().unwrap().to_owned()
    };
    assert_eq!(level("orb").await, "asWritten");
    // Without a language a plural is another word, and a typo at best.
    assert_ne!(level("balls").await, "asWritten");
}

/// The index reads on its own connections: an operator sees both.
#[test]
fn a_reindex_that_cannot_be_announced_is_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let mut reindex: Command = command(directory.path());
    let run = reindex.arg("reindex").env("DATABASE_URL", "mysql://u:secret@127.0.0.1:1/d").output().unwrap();
    let error = String::from_utf8(run.stderr).unwrap();
    assert_eq!((run.status.code(), error.trim_end().lines().count()), (Some(1), 1), "{error}");
    assert!(error.starts_with("farmlokal-api: ") && !error.contains("secret"), "{error}");
}
