//! What each client may ask, whoever it says it is and whichever replica it asks.

use std::time::Duration;

use farmlokal_devstack::Redis;
use farmlokal_testing::TestDatabase;

use crate::harness::{Answer, Api, PATIENCE, Process, fetch};

/// Nothing of it comes back while a test runs.
const FIVE: (&str, &str) = ("RATE_LIMIT", "5/3600");

#[track_caller]
fn assert_limited(answer: &Answer, policy: &str) {
    assert_eq!(answer.status, 429, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.json()["code"], "rate_limited");
    assert!(answer.header("retry-after").parse::<u64>().unwrap() > 0);
    assert!(answer.header("ratelimit").starts_with(&format!("\"{policy}\";r=0;t=")), "{answer:?}");
}

#[tokio::test]
async fn a_client_learns_its_quota_and_gets_no_more() {
    let api = Api::with(&[FIVE]).await;
    for remaining in (0..5).rev() {
        let answer = api.get("/products").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("ratelimit-policy"), "\"default\";q=5;w=3600");
        let state = format!("\"default\";r={remaining};t=");
        assert!(answer.header("ratelimit").starts_with(&state), "{remaining}: {answer:?}");
    }
    for path in ["/products", "/products/1", "/docs", "/nowhere"] {
        assert_limited(&api.get(path).await, "default");
    }
    let by_account = ["policy=\"default\"", "by=\"account\""];
    assert_eq!(api.metric("farmlokal_rate_limited_total", &by_account).await, 4.0);
    assert_eq!(api.metric("farmlokal_rate_limit_clients", &[]).await, 1.0);
}

#[tokio::test]
async fn probes_and_scrapes_are_never_limited() {
    let api = Api::with(&[("RATE_LIMIT", "1/3600")]).await;
    assert_eq!(api.get("/products").await.status, 200);
    assert_limited(&api.get("/products").await, "default");
    for path in ["/livez", "/readyz", "/health", "/metrics"] {
        for _ in 0..5 {
            let answer = api.get(path).await;
            assert_eq!((answer.status, answer.headers.get("ratelimit")), (200, None), "{path}");
        }
    }
}

#[tokio::test]
async fn searches_have_a_quota_of_their_own() {
    let api = Api::with(&[FIVE, ("RATE_LIMIT_SEARCH", "1/3600")]).await;
    assert_eq!(api.get("/products?search=x").await.header("ratelimit-policy"), "\"search\";q=1;w=3600");
    assert_limited(&api.get("/products?limit=2&se%61rch=y").await, "search");
    assert_eq!(api.get("/products").await.status, 200);
}

#[tokio::test]
async fn what_a_client_says_of_itself_changes_nothing() {
    let api = Api::with(&[FIVE]).await;
    let claims =
        [("x-forwarded-for", "192.0.2.1"), ("forwarded", "for=192.0.2.2"), ("x-real-ip", "192.0.2.3")];
    for claim in [&claims[..0], &claims[..1], &claims[1..2], &claims[2..], &claims] {
        assert_eq!(api.get_with("/products", claim).await.status, 200);
    }
    for claim in ["192.0.2.4", "10.0.0.1, 192.0.2.5", "127.0.0.1"] {
        assert_limited(&api.get_with("/products", &[("x-forwarded-for", claim)]).await, "default");
    }
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_has_its_own_and_cannot_change_who_it_is() {
    for trust in [("TRUSTED_PROXIES", "127.0.0.0/8,::1"), ("TRUSTED_HOPS", "1")] {
        let api = Api::with(&[("RATE_LIMIT", "1/3600"), trust]).await;
        let ask = async |from: &str| api.get_with("/products", &[("x-forwarded-for", from)]).await;
        assert_eq!(ask("192.0.2.1").await.status, 200);
        for invented in ["192.0.2.1", "198.51.100.1, 192.0.2.1", "junk,192.0.2.1", "127.0.0.1, 192.0.2.1"] {
            assert_limited(&ask(invented).await, "default");
        }
        assert_eq!(ask("192.0.2.2").await.status, 200);
        // A whole IPv6 network is one client.
        assert_eq!(ask("2001:db8::1").await.status, 200);
        assert_limited(&ask("2001:db8::ffff").await, "default");
        assert_eq!(ask("2001:db8:0:1::1").await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_replicas_together_overshoot_by_what_they_may_run_ahead() {
    let (quota, ahead, replicas) = (200, 4, 3);
    let (database, redis) = (TestDatabase::create().await, Redis::start().unwrap());
    let (database_url, redis_url) = (database.url(), redis.url());
    let settings = [
        ("DATABASE_URL", database_url.as_str()),
        ("REDIS_URL", redis_url.as_str()),
        ("RATE_LIMIT", "200/3600"),
        // Redis may be slow here, but it answers: what it does not hear is not bounded by it.
        ("REDIS_TIMEOUT", "20s"),
    ];
    let processes: Vec<_> = (0..replicas).map(|_| Process::start(&settings)).collect();
    let client = reqwest::Client::new();
    for process in &processes {
        let url = format!("http://{}/health", process.address("listening"));
        let deadline = std::time::Instant::now() + PATIENCE;
        while fetch(&client, &url, &[]).await.unwrap().json()["status"] != "ok" {
            assert!(std::time::Instant::now() < deadline);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let senders = (0..30).map(|number| {
        let url = format!("http://{}/products", processes[number % replicas].address("listening"));
        let client = client.clone();
        tokio::spawn(async move {
            let mut admitted = 0;
            for _ in 0..20 {
                admitted += usize::from(fetch(&client, &url, &[]).await.unwrap().status == 200);
            }
            admitted
        })
    });
    let mut admitted = 0;
    for sender in senders.collect::<Vec<_>>() {
        admitted += sender.await.unwrap();
    }
    // One comes back every 18 s: some more if the machine is slow.
    let back = 5;
    assert!((quota..=quota + ahead * replicas + back).contains(&admitted), "{admitted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_each_replica_keeps_the_limit_by_itself() {
    let mut api = Api::with(&[FIVE, ("TRUSTED_HOPS", "1")]).await;
    api.redis.stop().unwrap();
    api.until("/health", |answer| answer.json()["status"] == "degraded").await;
    for from in ["192.0.2.1", "192.0.2.2"] {
        for _ in 0..5 {
            assert_eq!(api.get_with("/products", &[("x-forwarded-for", from)]).await.status, 200);
        }
        assert_limited(&api.get_with("/products", &[("x-forwarded-for", from)]).await, "default");
    }
}
