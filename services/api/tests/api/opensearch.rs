//! `SEARCH_URL`: the search by OpenSearch, as clients and operators see it.

use farmlokal_devstack::Redis;
use farmlokal_testing::{Proxy, TestDatabase, TestIndices};
use serde_json::json;

use crate::harness::{Answer, Api, Process, command, insert_products};
use crate::webhook::sender::{Event, SECRET, ago, deliver, status};

/// Settings of processes that share the index.
fn settings<'a>(url: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let own =
        [("SEARCH_URL", url), ("WEBHOOK_SECRETS", SECRET), ("SEARCH_WAIT", "4s"), ("REQUEST_TIMEOUT", "20s")];
    [&own[..], more].concat()
}

/// The API once the index is there.
async fn started(products: u64, settings: &[(&str, &str)]) -> Api {
    let api = Api::with_products_and(products, settings).await;
    api.until("/health", |answer| answer.json()["status"] == "ok").await;
    api
}

fn is_stale(answer: &Answer) -> bool {
    answer.header("cache-status") == "FarmLokal; hit; detail=stale"
}

/// By the processes that were told and by those that were not.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_sender_was_told_is_found_by_whoever_asks_afterwards() {
    let Some(indices) = TestIndices::create() else { return };
    let url = indices.url();
    let api = started(20, &settings(&url, &[])).await;
    let replicas =
        [api.replica(&settings(&url, &[])), api.replica(&settings(&url, &[("LOCAL_CACHE", "false")]))];
    for replica in &replicas {
        replica.until("/health", |answer| answer.json()["status"] == "ok").await;
    }
    assert_eq!(api.get("/health").await.json()["dependencies"]["search"]["documents"], 20);
    for step in 0..5_u32 {
        let (id, seconds) = (1_000 + u64::from(step), 1_000 - i64::from(step));
        let name = format!("Racket r{step}");
        assert_eq!(status(&deliver(&api, &Event::upsert(id, &name, 5.5, ago(seconds))).await), "applied");
        let path =
            format!("/products?search=racket%20r{step}&facets=category,price&total=true&highlight=true");
        for found in [api.get(&path).await, replicas[0].get(&path).await, replicas[1].get(&path).await] {
            assert_eq!(found.ids(), [id], "{step}");
            assert_eq!(found.json()["total"], 1);
        }
        assert_eq!(status(&deliver(&api, &Event::delete(id, ago(seconds - 200))).await), "applied");
        for gone in [replicas[0].get(&path).await, replicas[1].get(&path).await, api.get(&path).await] {
            assert_eq!(gone.ids(), [0; 0], "{step}");
        }
    }
    assert_eq!(api.metric("farmlokal_search_stale_total", &[]).await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_may_lack_changes_say_so_and_are_not_kept() {
    let Some(indices) = TestIndices::create() else { return };
    let url = indices.url();
    let api = started(20, &settings(&url, &[("SEARCH_WAIT", "100ms"), ("SEARCH_POLL", "100ms")])).await;
    let block = |is_full: Option<bool>| json!({"index.blocks.read_only_allow_delete": is_full});
    indices.set(block(Some(true))).await;
    assert_eq!(status(&deliver(&api, &Event::upsert(1_000, "Ball", 5.5, ago(9))).await), "applied");
    let (list, suggestions) = ("/products?search=ball&sort=id", "/products/suggest?q=bal");
    for path in [list, suggestions, list, suggestions] {
        let answer = api.get(path).await;
        assert!(is_stale(&answer), "{answer:?}");
        assert_eq!((answer.status, answer.header("cache-control")), (200, "public, no-cache"));
    }
    assert_eq!(api.get(list).await.ids(), [7, 14]);
    assert_eq!(api.metric("farmlokal_search_stale_total", &[]).await, 5.0);
    api.until_counted("farmlokal_search_lag_seconds", &[]).await;
    // Lists by SQL have it, and the process is as ready as it was.
    assert_eq!(api.get("/products?sort=id&order=DESC&limit=1").await.ids(), [1_000]);
    assert_eq!(api.get("/readyz").await.status, 200);
    indices.set(block(None)).await;
    let fresh = api.until(list, |answer| !is_stale(answer)).await;
    assert_eq!(fresh.ids(), [7, 14, 1_000]);
    assert!(api.get(list).await.header("cache-status").contains("hit"));
    api.until("/metrics", |page| page.text().contains("farmlokal_search_lag_seconds 0\n")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_engine_lists_go_on_and_searches_are_cached_or_a_clear_503() {
    let Some(indices) = TestIndices::create() else { return };
    let mut proxy = Proxy::start(&indices).await;
    let url = indices.url_by(&proxy).replace("http://", "http://us:a-password@");
    let caches = [
        ("CACHE_TTL", "1s"),
        ("LOCAL_CACHE_TTL", "500ms"),
        ("CACHE_STALE_TTL", "300s"),
        ("SEARCH_POLL", "50ms"),
    ];
    let api = started(20, &settings(&url, &caches)).await;
    let list = "/products?search=ball&sort=id";
    let fresh = api.until(list, |answer| answer.header("cache-status").contains("redis")).await;
    proxy.kill().await;
    let health = api.until("/health", |answer| answer.json()["status"] == "degraded").await;
    assert_eq!(
        (health.status, &health.json()["dependencies"]["search"]),
        (200, &json!({"status": "failed"}))
    );
    let stale = api.until(list, is_stale).await;
    assert_eq!((stale.status, &stale.body), (200, &fresh.body));
    for path in ["/products?search=käse", "/products?total=true", "/products/suggest?q=bal"] {
        let refused = api.get(path).await;
        assert_eq!((refused.status, refused.json()["code"].as_str()), (503, Some("search_unavailable")));
        assert_eq!(refused.header("retry-after"), "5");
        assert!(!refused.text().contains("127.0.0.1"), "{}", refused.text());
    }
    assert_eq!(api.get("/products?limit=2").await.ids(), [1, 2]);
    assert_eq!(api.get("/readyz").await.status, 200);
    // That whose answer was in the cache too.
    assert!(api.metric("farmlokal_search_refused_total", &["reason=\"unavailable\""]).await >= 4.0);
    // Another one starts without it.
    let replica = api.replica(&settings(&url, &[]));
    replica.until("/readyz", |answer| answer.status == 200).await;
    assert_eq!(replica.get("/products?limit=2").await.ids(), [1, 2]);
    assert_eq!(replica.get(list).await.status, 200, "a cached answer");
    proxy.start_again().await;
    api.until("/health", |answer| answer.json()["status"] == "ok").await;
    assert_eq!(api.until(list, |answer| !is_stale(answer)).await.body, fresh.body);
    let log = format!("{:?} {:?}", api.log(), replica.log());
    assert!(log.contains("the search engine cannot be asked") && !log.contains("a-password"), "{log}");
}

/// No pod waits for an index that another one builds.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_is_ready_without_an_index() {
    let Some(indices) = TestIndices::create() else { return };
    let (database, redis) = (TestDatabase::create().await, Redis::start().unwrap());
    insert_products(&database, 20).await;
    let mut locked = database.pool().acquire().await.unwrap();
    sqlx::raw_sql("LOCK TABLES change_counters WRITE").execute(&mut *locked).await.unwrap();
    let (database_url, redis_url, url) = (database.url(), redis.url(), indices.url());
    let urls = [("DATABASE_URL", database_url.as_str()), ("REDIS_URL", redis_url.as_str())];
    let process = Process::start(&[&urls[..], &settings(&url, &[])].concat());
    process.until("/readyz", |answer| answer.status == 200).await;
    sqlx::raw_sql("UNLOCK TABLES").execute(&mut *locked).await.unwrap();
    let answer = process.until("/products?search=ball&sort=id", |answer| answer.status == 200).await;
    assert_eq!(answer.ids(), [7, 14]);
}

#[test]
fn settings_that_cannot_work_are_one_line_without_the_password() {
    let directory = tempfile::tempdir().unwrap();
    for (name, url, wait) in [
        ("SEARCH_URL", "ftp://u:secret@h", "1s"),
        ("SEARCH_URL", "http://u:secret@h/Products", "1s"),
        ("REQUEST_TIMEOUT", "http://u:secret@h", "5s"),
    ] {
        let mut serve = command(directory.path());
        let run = serve.env("SEARCH_URL", url).env("SEARCH_WAIT", wait).env("PORT", "0").output().unwrap();
        let said =
            format!("{}{}", String::from_utf8_lossy(&run.stderr), String::from_utf8_lossy(&run.stdout));
        assert!(!run.status.success() && said.contains(name) && !said.contains("secret"), "{said}");
    }
}
