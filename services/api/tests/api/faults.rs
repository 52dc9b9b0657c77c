//! Redis and the database fail under load: what clients see.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use farmlokal_devstack::{Database, Redis};
use farmlokal_testing::TestDatabase;
use tokio::task::JoinHandle;

use crate::harness::{Answer, Api, PATIENCE, Process, client, fetch};

/// Clients that list and get products without pause until told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Vec<Answer>>>,
}

impl Load {
    /// Half of the requests repeat, half are new to every cache.
    fn start(client: &reqwest::Client, base: &str) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let clients = (0..8_u64).map(|number| {
            let (client, base, stop) = (client.clone(), base.to_owned(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut answers = Vec::new();
                for round in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let fresh = number * 1_000_000 + round;
                    let path = if round % 2 == 0 {
                        "/products".to_owned()
                    } else {
                        format!("/products?cursor={fresh}")
                    };
                    answers.push(fetch(&client, &format!("{base}{path}"), &[]).await.unwrap());
                }
                answers
            })
        });
        Load { clients: clients.collect(), stop }
    }

    async fn stop(self) -> Vec<Answer> {
        self.stop.store(true, Ordering::Relaxed);
        let mut answers = Vec::new();
        for client in self.clients {
            answers.extend(client.await.unwrap());
        }
        answers
    }
}

#[track_caller]
fn assert_all_served(answers: &[Answer]) {
    assert!(answers.len() > 100, "only {} requests", answers.len());
    for answer in answers {
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_killed_and_started_again_under_load_costs_no_request() {
    let mut api = Api::with_products(100).await;
    let load = Load::start(&api.client(), &api.url(""));
    tokio::time::sleep(Duration::from_millis(300)).await;
    api.redis.stop().unwrap();
    let health =
        api.until("/health", |answer| answer.json()["dependencies"]["redis"]["status"] == "down").await;
    assert_eq!((health.status, health.json()["status"].as_str()), (200, Some("degraded")));
    assert_eq!(api.metric("farmlokal_redis_up", &["connection=\"cache\""]).await, 0.0);
    tokio::time::sleep(Duration::from_millis(300)).await;
    api.redis.start_again().unwrap();
    api.until("/health", |answer| answer.json()["dependencies"]["redis"]["inProcessLayer"] == true).await;
    api.until("/products", |answer| answer.header("cache-status").contains("hit")).await;
    assert_all_served(&load.stop().await);
    // Each of the connections says that it was lost and that it is back.
    let deadline = std::time::Instant::now() + PATIENCE;
    let lines = || {
        let mut lines = ["cache", "invalidations", "shared"].map(|connection| (connection, Vec::new()));
        for event in api.log().iter().filter(|event| about_redis(event)) {
            let (_, levels) = lines.iter_mut().find(|(name, _)| event["connection"] == *name).unwrap();
            levels.push(event["level"].as_str().unwrap().to_owned());
        }
        lines
    };
    while lines().iter().any(|(_, levels)| levels.len() < 2) {
        assert!(std::time::Instant::now() < deadline, "{:?}", api.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for (connection, levels) in lines() {
        assert_eq!(levels, ["WARN", "INFO"], "{connection}: {:?}", api.log());
    }
}

fn about_redis(event: &serde_json::Value) -> bool {
    event["message"].as_str().is_some_and(|message| message.contains("Redis"))
}

/// One line for each connection, however long it lasts.
#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_was_never_reached_is_one_warning_of_each_connection_with_its_cause() {
    let (database, redis) = (TestDatabase::create().await, Redis::start().unwrap());
    let port = redis.port();
    let processes = [
        (format!("redis://:wrong@127.0.0.1:{port}"), "assword"),
        ("redis://nobody.invalid".to_owned(), "lookup"),
        ("redis://127.0.0.1:1".to_owned(), "refused"),
        (format!("redis://127.0.0.1:{port}/99"), "database"),
        (format!("rediss://127.0.0.1:{port}"), ""),
    ]
    .map(|(url, cause)| {
        let database = database.url();
        let process = Process::start(&[("DATABASE_URL", &database), ("REDIS_URL", &url)]);
        process.address("listening");
        (process, url, cause)
    });
    tokio::time::sleep(Duration::from_secs(3)).await;
    for (process, url, cause) in &processes {
        let log = process.log();
        let lines: Vec<_> = log.iter().filter(|event| about_redis(event)).collect();
        let mut connections: Vec<_> =
            lines.iter().map(|event| event["connection"].as_str().unwrap()).collect();
        connections.sort_unstable();
        // A Redis without a password refuses one in AUTH, and takes any in RESP3's HELLO.
        let is_taken = |connection: &&str| *connection == "invalidations" && url.contains("wrong");
        let mut expected = vec!["cache", "invalidations", "shared"];
        expected.retain(|connection| !is_taken(connection));
        assert_eq!(connections, expected, "{url}: {lines:?}");
        for line in lines {
            assert_eq!(line["level"], "WARN");
            let error = line["error"].as_str().unwrap();
            assert!(!error.is_empty() && error.contains(cause) && !error.contains("wrong"), "{url}: {error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_standing_still_under_load_costs_no_request() {
    let api = Api::with_products(100).await;
    let load = Load::start(&api.client(), &api.url(""));
    tokio::time::sleep(Duration::from_millis(300)).await;
    api.redis.pause().unwrap();
    api.until("/health", |answer| answer.json()["dependencies"]["redis"]["status"] == "down").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    api.redis.resume().unwrap();
    api.until("/health", |answer| answer.json()["status"] == "ok").await;
    assert_all_served(&load.stop().await);
}

/// An API whose database a test may kill.
pub struct Fragile {
    pub database: Database,
    pub redis: Redis,
    pub process: Process,
    client: reqwest::Client,
}

impl Fragile {
    pub async fn start(settings: &[(&str, &str)]) -> Fragile {
        let (database, redis) = (Database::start().unwrap(), Redis::start().unwrap());
        farmlokal_catalog::migrate(database.url().parse().unwrap()).await.unwrap();
        let (database_url, redis_url) = (database.url(), redis.url());
        let urls = [("DATABASE_URL", database_url.as_str()), ("REDIS_URL", redis_url.as_str())];
        let process = Process::start(&[&urls, settings].concat());
        let fragile = Fragile { database, redis, process, client: client() };
        fragile.until("/readyz", |answer| answer.status == 200).await;
        fragile
    }

    pub fn base(&self) -> String {
        format!("http://{}", self.process.address("listening"))
    }

    pub async fn get(&self, path: &str) -> Answer {
        fetch(&self.client, &format!("{}{path}", self.base()), &[]).await.unwrap()
    }

    pub async fn until(&self, path: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            let answer = self.get(path).await;
            if wanted(&answer) {
                return answer;
            }
            assert!(
                std::time::Instant::now() < deadline,
                "{path} never came to it: {answer:?} {:?}",
                self.process.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_database_cached_answers_are_served_and_the_rest_is_a_503() {
    let mut api =
        Fragile::start(&[("CACHE_TTL", "1s"), ("LOCAL_CACHE_TTL", "500ms"), ("CACHE_STALE_TTL", "300s")])
            .await;
    // Seen in Redis: an answer that came before the connection to Redis did is not kept there.
    let fresh = api.until("/products", |answer| answer.header("cache-status").contains("redis")).await;
    assert_eq!(fresh.status, 200);
    api.database.kill9().unwrap();

    let stale = api.until("/products", |answer| answer.header("cache-status").contains("stale")).await;
    assert_eq!((stale.status, &stale.body), (200, &fresh.body));
    assert_eq!(stale.header("etag"), fresh.header("etag"));
    let health = api.until("/health", |answer| answer.status == 503).await.json();
    assert_eq!(health["status"], "unavailable");
    assert_eq!(health["dependencies"]["database"]["status"], "down");
    // The search index shows that it cannot follow.
    let lags = |line: &str| line.starts_with("farmlokal_search_lag_seconds ") && !line.ends_with(" 0");
    api.until("/metrics", |answer| answer.text().lines().any(lags)).await;
    // Still in rotation: the cached answers are worth having.
    assert_eq!(api.get("/readyz").await.status, 200);

    let refused = api.get("/products?limit=7").await;
    assert_eq!(refused.status, 503);
    assert_eq!(refused.json()["code"], "database_unavailable");
    assert_eq!(refused.header("retry-after"), "1");
    for internal in ["127.0.0.1", "SELECT", "mysql", "sqlx", "os error"] {
        assert!(!refused.text().contains(internal), "{}", refused.text());
    }

    api.database.start_again().unwrap();
    api.until("/products?limit=7", |answer| answer.status == 200).await;
    api.until("/health", |answer| answer.status == 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_killed_under_load_never_leaves_a_request_without_an_answer() {
    let mut api = Fragile::start(&[]).await;
    let load = Load::start(&api.client, &api.base());
    tokio::time::sleep(Duration::from_millis(300)).await;
    api.database.kill9().unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    api.database.start_again().unwrap();
    api.until("/products?limit=7", |answer| answer.status == 200).await;
    let answers = load.stop().await;
    assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 503)));
    let (served, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
    assert!(served.len() > 100 && !refused.is_empty(), "{} served, {} refused", served.len(), refused.len());
    // `/products` itself was cached all the time.
    assert!(refused.iter().all(|answer| answer.header("retry-after") == "1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_stands_still_is_a_503_within_the_deadline() {
    let api = Fragile::start(&[("REQUEST_TIMEOUT", "300ms")]).await;
    api.until("/products", |answer| answer.status == 200).await;
    api.database.pause().unwrap();
    let answer = api.get("/products?limit=7").await;
    assert_eq!(answer.status, 503);
    let code = answer.json()["code"].as_str().unwrap().to_owned();
    assert!(["timed_out", "database_unavailable"].contains(&code.as_str()), "{code}");
    assert_eq!(api.get("/products").await.status, 200);
    assert_eq!(api.get("/livez").await.status, 200);
    api.database.resume().unwrap();
    api.until("/products?limit=7", |answer| answer.status == 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stale_answers_are_served_while_the_database_stands_still() {
    let api = Fragile::start(&[("CACHE_TTL", "1s"), ("LOCAL_CACHE_TTL", "500ms")]).await;
    let fresh = api.get("/products").await;
    assert_eq!(fresh.status, 200);
    api.database.pause().unwrap();
    let stale = api.until("/products", |answer| answer.header("cache-status").contains("stale")).await;
    assert_eq!((stale.status, &stale.body), (200, &fresh.body));
    assert_eq!(stale.header("cache-control"), "public, no-cache");
    assert_eq!(api.get("/products?limit=7").await.json()["code"], "database_unavailable");
    api.database.resume().unwrap();
    api.until("/products?limit=7", |answer| answer.status == 200).await;
}

/// Each connection is tested when it goes back to its pool. One whose test nobody answers must not be gone for good.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_stands_still_keeps_no_connection() {
    let mut api = Fragile::start(&[]).await;
    let load = Load::start(&api.client, &api.base());
    tokio::time::sleep(Duration::from_millis(500)).await;
    api.database.pause().unwrap();
    let idle = |page: &str| page.lines().any(|line| line == "farmlokal_db_connections{state=\"in_use\"} 0");
    api.until("/health", |answer| answer.status == 503).await;
    api.until("/metrics", |answer| idle(answer.text())).await;
    load.stop().await;
    // Nor does it keep the process at its end.
    api.process.signal("TERM");
    assert_eq!(api.process.ended().await.code(), Some(0));
    api.database.resume().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_either_there_is_a_503_at_once_and_no_answer_that_may_be_old() {
    let mut api = Fragile::start(&[]).await;
    api.until("/products", |answer| answer.header("cache-status").contains("memory")).await;
    api.redis.stop().unwrap();
    api.database.kill9().unwrap();
    let refused = api.until("/products", |answer| answer.status == 503).await;
    assert_eq!(refused.json()["code"], "database_unavailable");
    let down = serde_json::json!({"status": "down", "inProcessLayer": false});
    api.until("/health", |answer| answer.status == 503 && answer.json()["dependencies"]["redis"] == down)
        .await;
    assert_eq!(api.get("/livez").await.status, 200);
    api.redis.start_again().unwrap();
    api.database.start_again().unwrap();
    api.until("/products", |answer| answer.status == 200).await;
}
