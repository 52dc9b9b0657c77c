//! GET /livez, /readyz, /health, /metrics

use farmlokal_devstack::Redis;
use farmlokal_testing::TestDatabase;

use crate::harness::{Api, Process, client, fetch};
use crate::overload::exchange;

#[tokio::test]
async fn health_shows_each_dependency() {
    let api = Api::empty().await;
    let answer = api.until("/health", |answer| answer.json()["status"] == "ok").await;
    let body = answer.json();
    assert_eq!(answer.status, 200);
    assert_eq!(body["dependencies"]["database"]["status"], "up");
    assert_eq!(body["dependencies"]["database"]["connections"]["max"], 4);
    let latency = body["dependencies"]["database"]["latencyMs"].as_f64().unwrap();
    assert!(
        latency > 0.0 && latency.to_string().split('.').nth(1).unwrap_or_default().len() <= 3,
        "{latency}"
    );
    assert_eq!(body["dependencies"]["redis"]["status"], "up");
    assert_eq!(body["dependencies"]["redis"]["inProcessLayer"], true);
    assert_eq!(body["dependencies"]["search"]["status"], "ready");
    assert_eq!(body["dependencies"]["search"]["documents"], 0);
}

#[tokio::test]
async fn it_is_alive_but_not_ready_before_the_migrations() {
    let (database, redis) = (TestDatabase::create_empty().await, Redis::start().unwrap());
    let (database_url, redis_url) = (database.url(), redis.url());
    let process = Process::start(&[("DATABASE_URL", &database_url), ("REDIS_URL", &redis_url)]);
    let address = process.address("listening");
    let get = async |path: &str| fetch(&client(), &format!("http://{address}{path}"), &[]).await.unwrap();
    assert_eq!(get("/livez").await.status, 200);
    let deadline = std::time::Instant::now() + crate::harness::PATIENCE;
    while get("/readyz").await.text() != "the database is not migrated\n" {
        assert!(std::time::Instant::now() < deadline);
    }
    assert_eq!(get("/readyz").await.status, 503);
    assert_eq!(get("/products").await.json()["code"], "database_unavailable");

    farmlokal_catalog::migrate(database.options.clone()).await.unwrap();
    while get("/readyz").await.status != 200 {
        assert!(std::time::Instant::now() < deadline);
    }
    assert_eq!(get("/products").await.status, 200);
}

#[tokio::test]
async fn metrics_tell_routes_and_statuses_apart_and_nothing_else() {
    let api = Api::with_products(3).await;
    for path in [
        "/products",
        "/products",
        "/products/1",
        "/products/2",
        "/products/99",
        "/products?limit=0",
        "/x/y",
        "/z",
    ] {
        api.get(path).await;
    }
    let count = async |route: &str, status: &str| {
        let (route, status) = (format!("http_route=\"{route}\""), format!("status_code=\"{status}\""));
        api.metric("http_server_request_duration_seconds_count", &[&route, &status]).await
    };
    assert_eq!(count("/products", "200").await, 2.0);
    assert_eq!(count("/products", "400").await, 1.0);
    assert_eq!(count("/products/{id}", "200").await, 2.0);
    assert_eq!(count("/products/{id}", "404").await, 1.0);
    assert_eq!(count("_OTHER", "404").await, 2.0);
    assert_eq!(
        api.metric("farmlokal_cache_requests_total", &["tier=\"local\"", "result=\"hit\""]).await,
        1.0
    );
    assert_eq!(api.metric("farmlokal_db_up", &[]).await, 1.0);
    assert!(api.metric("process_resident_memory_bytes", &[]).await > 1e6);
    assert!(api.metric("farmlokal_uptime_seconds", &[]).await > 0.0);
}

#[tokio::test]
async fn metrics_say_why_an_answer_is_an_error_of_ours() {
    let api = Api::with_products(1).await;
    assert_eq!(api.get("/products").await.status, 200);
    assert_eq!(api.get("/products?limit=0").await.status, 400);
    let pool = api.database.pool();
    sqlx::raw_sql("DROP TABLE products").execute(&pool).await.unwrap();
    for _ in 0..2 {
        assert_eq!(api.get("/products?limit=7").await.status, 503);
    }
    let errors = async |labels: &[&str]| {
        let labels = [labels, &["error_type="]].concat();
        api.metric("http_server_request_duration_seconds_count", &labels).await
    };
    assert_eq!(errors(&["error_type=\"database_unavailable\"", "status_code=\"503\""]).await, 2.0);
    assert_eq!(errors(&["status_code=\"200\""]).await + errors(&["status_code=\"400\""]).await, 0.0);
}

/// A rate cannot see the first of what it has not seen at zero.
#[tokio::test]
async fn counters_of_rare_faults_are_there_from_the_start() {
    let api = Api::empty().await;
    let page = api.get("/metrics").await;
    for series in [
        "farmlokal_search_refused_total{reason=\"busy\"} 0",
        "farmlokal_db_queue_refused_total 0",
        "farmlokal_cache_flushes_total{result=\"failed\"} 0",
        "farmlokal_webhook_events_total{outcome=\"invalid_signature\"} 0",
        "farmlokal_pruned_rows_total{table=\"webhook_events\"} 0",
        "farmlokal_rate_limited_total{policy=\"search\",by=\"pod\"} 0",
        "farmlokal_invalidation_failing 0",
    ] {
        assert!(page.text().lines().any(|line| line == series), "{series} is not in {}", page.text());
    }
}

#[tokio::test]
async fn with_a_management_port_operators_have_it_to_themselves() {
    let api = Api::with_products(1).await;
    let (database_url, redis_url) = (api.database.url(), api.redis.url());
    let settings = [
        ("DATABASE_URL", database_url.as_str()),
        ("REDIS_URL", redis_url.as_str()),
        ("MANAGEMENT_PORT", "0"),
    ];
    let process = Process::start(&settings);
    let get = async |listener: &str, path: &str| {
        let url = format!("http://{}{path}", process.address(listener));
        fetch(&api.client(), &url, &[]).await.unwrap().status
    };
    for path in ["/livez", "/health", "/metrics"] {
        assert_eq!(get("listening", path).await, 404, "{path}");
        assert_ne!(get("listening for operators", path).await, 404, "{path}");
    }
    assert_eq!(get("listening", "/products").await, 200);
    assert_eq!(get("listening for operators", "/products").await, 404);
}

#[tokio::test]
async fn every_port_wants_exactly_one_valid_host() {
    let (database, redis) = (TestDatabase::create().await, Redis::start().unwrap());
    let (database_url, redis_url) = (database.url(), redis.url());
    let settings = [
        ("DATABASE_URL", database_url.as_str()),
        ("REDIS_URL", redis_url.as_str()),
        ("MANAGEMENT_PORT", "0"),
    ];
    let process = Process::start(&settings);
    for (listener, path) in
        [("listening", "/docs/"), ("listening", "/nowhere"), ("listening for operators", "/livez")]
    {
        let address = process.address(listener);
        for hosts in ["", "Host: a\r\nHost: a\r\n", "Host: a b\r\n", "Host: user@a\r\n"] {
            let request = format!("GET {path} HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n");
            let answer = exchange(&address, &request).await;
            assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("\"invalid_host\""), "{answer}");
        }
        for request in ["HTTP/1.1\r\nHost: a:80\r\nConnection: close\r\n\r\n", "HTTP/1.0\r\n\r\n"] {
            let answer = exchange(&address, &format!("GET {path} {request}")).await;
            let status = if path == "/nowhere" { "404" } else { "200" };
            assert_eq!(&answer[9..12], status, "{answer}");
        }
    }
}

#[tokio::test]
async fn a_request_id_is_kept_if_usable_and_made_otherwise() {
    let api = Api::empty().await;
    let id = async |sent: &str| {
        api.get_with("/livez", &[("x-request-id", sent)]).await.header("x-request-id").to_owned()
    };
    assert_eq!(id("0191d8a4-9d1c").await, "0191d8a4-9d1c");
    for unusable in ["two words", &"x".repeat(200), "<b>"] {
        let made = id(unusable).await;
        assert!(made.len() == 32 && made != unusable, "{made}");
    }
}
