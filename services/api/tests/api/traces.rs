//! Traces: what a collector gets of requests, and what becomes of requests without one.

use std::collections::HashMap;
use std::time::Duration;

use farmlokal_sandbox::{Fault, Faults, Mode, Sandbox};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use secrecy::ExposeSecret as _;

use crate::collector::{Collector, Span, tree};
use crate::faults::Fragile;
use crate::harness::{Api, PATIENCE, client, fetch};
use crate::webhook::sender::{Event, SECRET, ago, post, status};

/// The id of a trace that a test has started itself, and the header that says so.
pub fn remote(number: u8) -> (String, String) {
    let trace = format!("{number:02x}").repeat(16);
    let header = format!("00-{trace}-b7ad6b7169203331-01");
    (trace, header)
}

pub async fn traced(collector: &Collector, more: &[(&str, &str)]) -> Api {
    let settings = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint()), ("OTEL_BSP_SCHEDULE_DELAY", "20")];
    let api = Api::with_products_and(30, &[&settings, more].concat()).await;
    // From here on both tiers of the cache are in use.
    api.until("/health", |answer| answer.json()["dependencies"]["redis"]["inProcessLayer"] == true).await;
    api
}

#[track_caller]
fn one<'s>(spans: &'s [Span], name: &str) -> &'s Span {
    let mut found = spans.iter().filter(|span| span.name == name);
    let span = found.next().unwrap_or_else(|| panic!("no {name}: {spans:#?}"));
    assert!(found.next().is_none(), "more than one {name}: {spans:#?}");
    span
}

/// The trace of a cold list is whole when the fill has been stored, which no answer waits for.
fn is_whole(spans: &[Span]) -> bool {
    let has = |name: &str| spans.iter().any(|span| span.name == name);
    has("GET /products") && has("cache.fill")
}

#[tokio::test]
async fn a_cold_list_and_a_hot_one_are_trees_below_the_clients_span() {
    let collector = Collector::http().await;
    let api = traced(&collector, &[]).await;
    let (cold, header) = remote(1);
    let path = "/products?search=ball&category=sports";
    let headers = [("traceparent", header.as_str()), ("x-request-id", "my-own-id")];
    assert_eq!(api.get_with(path, &headers).await.status, 200);
    let spans = collector.trace(&cold, is_whole).await;
    let request = one(&spans, "GET /products");
    assert_eq!((request.kind, request.parent.as_str()), (SpanKind::Server, "b7ad6b7169203331"));
    let expected = HashMap::from(
        [
            ("http.request.method", "GET"),
            ("http.response.status_code", "200"),
            ("http.route", "/products"),
            ("url.path", "/products"),
            ("url.scheme", "http"),
            ("farmlokal.request_id", "my-own-id"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    let mut attributes = request.attributes.clone();
    attributes.retain(|name, _| expected.contains_key(name) || name.starts_with("url."));
    assert_eq!(attributes, expected);
    assert!(!request.failed);

    let get = one(&spans, "cache.get");
    assert_eq!(get.parent, request.id);
    assert_eq!(
        ["local", "source", "flight"].map(|name| get.get(&format!("farmlokal.cache.{name}"))),
        ["miss", "miss", "leader"]
    );
    let fill = one(&spans, "cache.fill");
    assert_eq!(fill.parent, get.id);
    let sql = one(&spans, "SELECT products");
    assert_eq!((sql.kind, &sql.parent), (SpanKind::Client, &fill.id));
    for (attribute, value) in [
        ("db.system.name", "mysql"),
        ("db.operation.name", "SELECT"),
        ("db.query.summary", "SELECT products"),
        ("farmlokal.db.statement", "found"),
    ] {
        assert_eq!(sql.get(attribute), value, "{sql:?}");
    }
    let stored = one(&spans, "EVALSHA");
    assert_eq!((stored.parent.as_str(), stored.get("farmlokal.cache.result")), (fill.id.as_str(), "stored"));
    let looked_up = one(&spans, "MGET");
    assert_eq!((&looked_up.parent, looked_up.get("farmlokal.cache.result")), (&get.id, "miss"));
    assert_eq!(one(&spans, "db.acquire").parent, fill.id);
    assert_eq!(spans.len(), 7, "{}", tree(&spans));
    // What was asked for is the client's business.
    assert!(!format!("{spans:?}").contains("ball") && !format!("{spans:?}").contains("sports"), "{spans:#?}");

    let (hot, header) = remote(2);
    assert_eq!(api.get_with(path, &[("traceparent", &header)]).await.status, 200);
    let spans = collector.trace(&hot, |spans| spans.iter().any(|span| span.name == "GET /products")).await;
    assert_eq!(tree(&spans), "GET /products\n  cache.local\n");
    assert_eq!(one(&spans, "cache.local").get("farmlokal.cache.result"), "hit");
}

#[tokio::test]
async fn spans_arrive_over_grpc_as_well_and_say_where_they_are_from() {
    let collector = Collector::grpc().await;
    let settings = [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20abc"),
        ("OTEL_SERVICE_NAME", "shop"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
    ];
    let api = traced(&collector, &settings).await;
    let (trace, header) = remote(3);
    assert_eq!(api.get_with("/products", &[("traceparent", &header)]).await.status, 200);
    let spans = collector.trace(&trace, is_whole).await;
    let resource = &spans[0].resource;
    assert_eq!((&*resource["service.name"], &*resource["deployment.environment.name"]), ("shop", "test"));
    assert_eq!(collector.header("authorization"), "Bearer abc");
    // Nothing that the process says about itself repeats a header.
    assert!(!format!("{spans:?} {:?}", api.get("/metrics").await).contains("Bearer"));
    // Counted once the collector has answered, so after it has the spans.
    api.until_counted("farmlokal_trace_spans_total", &["result=\"exported\""]).await;
}

/// Identical requests at once: the ones that wait point to the span of the one that fills.
#[tokio::test(flavor = "multi_thread")]
async fn those_who_wait_for_a_flight_point_to_it() {
    let collector = Collector::http().await;
    let api = Fragile::start(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint()),
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
    ])
    .await;
    let (base, client) = (api.base(), client());
    assert_eq!(api.get("/products").await.status, 200);
    api.database.pause().unwrap();
    let requests = [6, 7, 8].map(|number| {
        let (client, url) = (client.clone(), format!("{base}/products?sort=name"));
        tokio::spawn(async move { fetch(&client, &url, &[("traceparent", &remote(number).1)]).await })
    });
    let waiting = |page: &str| page.lines().any(|line| line == "http_server_active_requests 3");
    api.until("/metrics", |page| waiting(page.text())).await;
    // They are in flight; let them come as far as the flight.
    tokio::time::sleep(Duration::from_millis(200)).await;
    api.database.resume().unwrap();
    for request in requests {
        assert_eq!(request.await.unwrap().unwrap().status, 200);
    }
    let mut gets = Vec::new();
    for number in [6, 7, 8] {
        let done = |spans: &[Span]| spans.iter().any(|span| span.name == "GET /products");
        let spans = collector.trace(&remote(number).0, done).await;
        gets.push(one(&spans, "cache.get").clone());
    }
    let (leaders, followers): (Vec<_>, Vec<_>) =
        gets.into_iter().partition(|get| get.get("farmlokal.cache.flight") == "leader");
    assert_eq!((leaders.len(), followers.len()), (1, 2));
    let fill = collector.trace(&leaders[0].trace, is_whole).await;
    let fill = one(&fill, "cache.fill");
    assert!(followers.iter().all(|get| get.links == [fill.id.clone()]), "{followers:#?}");
}

/// Lines and spans of a request that fails name each other, and neither holds the password.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_gone_is_an_error_in_spans_and_lines() {
    let collector = Collector::http().await;
    let mut api = Fragile::start(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint()),
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
        ("LOG_LEVEL", "debug"),
    ])
    .await;
    let (base, client) = (api.base(), client());
    // The catalogue is gone, and the database still there: this statement fails, and no other.
    let pool = sqlx::MySqlPool::connect(&api.database.url()).await.unwrap();
    sqlx::query("RENAME TABLE products TO products_gone").execute(&pool).await.unwrap();
    let (trace, header) = remote(9);
    let headers = [("traceparent", header.as_str()), ("x-request-id", "the-one-that-fails")];
    let answer = fetch(&client, &format!("{base}/products"), &headers).await.unwrap();
    assert_eq!((answer.status, answer.header("x-request-id")), (503, "the-one-that-fails"));
    let spans = collector.trace(&trace, is_whole).await;
    for name in ["GET /products", "cache.fill", "SELECT products"] {
        assert!(one(&spans, name).failed, "{spans:#?}");
    }
    let (request, sql) = (one(&spans, "GET /products"), one(&spans, "SELECT products"));
    assert_eq!((request.get("http.response.status_code"), request.get("error.type")), ("503", "503"));
    assert_eq!((sql.get("error.type"), sql.get("db.response.status_code")), ("1146", "1146"));

    // Gone altogether: no span of a statement that was never sent.
    api.database.kill9().unwrap();
    api.until("/health", |answer| answer.status == 503).await;
    let (refused, header) = remote(10);
    let url = format!("{base}/products?limit=7");
    assert_eq!(fetch(&client, &url, &[("traceparent", &header)]).await.unwrap().status, 503);
    let spans = collector.trace(&refused, is_whole).await;
    assert!(one(&spans, "GET /products").failed);
    assert!(spans.iter().all(|span| span.name != "SELECT products"), "{}", tree(&spans));

    let log = api.process.log();
    let of_request: Vec<_> = log.iter().filter(|line| line["request_id"] == "the-one-that-fails").collect();
    assert!(of_request.iter().all(|line| line["trace_id"] == trace.as_str()), "{of_request:#?}");
    // The cause is logged by the task that fills, the outcome by the request's own.
    let cause = of_request.iter().find(|line| line["message"] == "the database holds no catalogue");
    let cause = cause.expect("the cause");
    assert!(cause["span_id"].as_str().is_some_and(|id| id.len() == 16), "{cause}");
    assert!(of_request.iter().any(|line| line["message"] == "request" && line["status"] == 503));
    let everything = format!("{log:?} {:?}", collector.spans());
    assert!(!everything.contains("mysql://") && !everything.contains("redis://"), "{everything}");
}

#[tokio::test]
async fn partners_are_called_within_the_trace_a_span_for_each_attempt() {
    let (collector, sandbox) = (Collector::http().await, Sandbox::start().await.unwrap());
    let (token_url, api_a_url) = (sandbox.token_url(), sandbox.api_a_url());
    let secret = sandbox.config().client_secret.expose_secret();
    let settings = [
        ("OAUTH_TOKEN_URL", token_url.as_str()),
        ("OAUTH_CLIENT_ID", &sandbox.config().client_id),
        ("OAUTH_CLIENT_SECRET", secret),
        ("OAUTH_AUDIENCE", "https://partner.test"),
        ("API_A_URL", &api_a_url),
        // On a busy machine the defaults are short.
        ("REQUEST_TIMEOUT", "30s"),
        ("API_A_TIMEOUT", "20s"),
        ("API_A_ATTEMPT_TIMEOUT", "10s"),
    ];
    let api = traced(&collector, &settings).await;
    let once = Fault { fail_next: 1, ..Fault { status: 503, ..Mode::Error.into() } };
    sandbox.set_faults(Faults { api_a: once, ..Faults::default() });
    let (trace, header) = remote(40);
    assert_eq!(api.get_with("/external/test-api-a", &[("traceparent", &header)]).await.status, 200);
    let answered = |spans: &[Span]| spans.iter().any(|span| span.name == "GET /external/test-api-a");
    let spans = collector.trace(&trace, answered).await;
    assert_eq!(tree(&spans), "GET /external/test-api-a\n  POST oauth\n  GET api_a\n  GET api_a\n");
    let calls: Vec<_> = spans.iter().filter(|span| span.kind == SpanKind::Client).collect();
    let seen = |call: &&Span| {
        ["peer.service", "http.response.status_code", "http.request.resend_count", "error.type"]
            .map(|name| call.get(name).to_owned())
    };
    assert_eq!(
        calls.iter().map(seen).collect::<Vec<_>>(),
        [["oauth", "200", "", ""], ["api_a", "503", "", "failed"], ["api_a", "200", "1", ""]]
    );
    assert_eq!(calls.iter().map(|call| call.failed).collect::<Vec<_>>(), [false, true, false]);
    // What the partners were sent is the spans of the calls themselves.
    let sent: Vec<_> = sandbox.requests().into_iter().filter_map(|request| request.traceparent).collect();
    let ours: Vec<_> = calls.iter().map(|call| format!("00-{trace}-{}-01", call.id)).collect();
    assert_eq!(sent, ours);
    assert!(!format!("{:?} {:?}", collector.spans(), api.log()).contains(secret));
}

#[tokio::test]
async fn an_event_is_a_part_of_its_senders_trace() {
    let collector = Collector::http().await;
    let api = traced(&collector, &[("WEBHOOK_SECRETS", SECRET)]).await;
    let event = Event::price(7, 77.0, ago(1));
    let (trace, header) = remote(41);
    let mut headers = event.headers(SECRET);
    headers.push(("traceparent", header));
    assert_eq!(status(&post(&api, &headers, event.body.to_string()).await), "applied");
    let answered = |spans: &[Span]| spans.iter().any(|span| span.name == "POST /webhook");
    let spans = collector.trace(&trace, answered).await;
    assert_eq!(tree(&spans), "POST /webhook\n  TRANSACTION webhook_events\n    db.acquire\n");
    let transaction = one(&spans, "TRANSACTION webhook_events");
    assert_eq!((transaction.kind, transaction.get("farmlokal.db.statement")), (SpanKind::Client, "event"));
    assert!(!transaction.failed);
    let held = format!("{:?} {:?}", collector.spans(), api.log());
    for secret in [SECRET, headers[2].1.as_str(), event.id.as_str()] {
        assert!(!held.contains(secret), "{secret}");
    }
}

/// With `OTEL_BSP_SCHEDULE_DELAY` of an hour, only the end of the process exports anything.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_at_the_end() {
    let collector = Collector::http().await;
    let mut api = traced(&collector, &[("OTEL_BSP_SCHEDULE_DELAY", "3600000")]).await;
    let before = collector.spans().len();
    assert_eq!(before, 0, "the batch was not full, and its time has not come");
    let requests: Vec<_> = (10..30)
        .map(|number| {
            let (client, url) = (api.client(), api.url(&format!("/products?limit={number}")));
            tokio::spawn(async move { fetch(&client, &url, &[("traceparent", &remote(number).1)]).await })
        })
        .collect();
    for request in requests {
        assert_eq!(request.await.unwrap().unwrap().status, 200);
    }
    api.process().signal("TERM");
    assert_eq!(api.process().ended().await.code(), Some(0));
    let spans = collector.spans();
    for number in 10..30 {
        let trace = remote(number).0;
        let of_trace: Vec<_> = spans.iter().filter(|span| span.trace == trace).cloned().collect();
        for name in ["GET /products", "cache.get", "cache.fill", "SELECT products", "EVALSHA"] {
            one(&of_trace, name);
        }
    }
}

/// Nothing listens, and something that takes connections and never answers.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_collector_delays_nobody() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("http://{}", silent.local_addr().unwrap());
    for (protocol, endpoint) in
        [("http/protobuf", "http://127.0.0.1:9"), ("grpc", "http://127.0.0.1:9"), ("http/protobuf", &silent)]
    {
        let mut api = Api::with(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_BSP_SCHEDULE_DELAY", "20"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1000"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "20"),
        ])
        .await;
        for _ in 0..100 {
            assert_eq!(api.get("/products").await.status, 200);
        }
        api.until_counted("farmlokal_trace_spans_total", &["result=\"failed\""]).await;
        api.process().signal("TERM");
        assert_eq!(api.process().ended().await.code(), Some(0), "{protocol} {endpoint}");
        let lost = |line: &&serde_json::Value| {
            line["message"].as_str().is_some_and(|message| message.starts_with("traces cannot be exported"))
        };
        let log = api.process().log();
        assert_eq!(log.iter().filter(lost).count(), 1, "one line for one outage");
        // Whom nothing answers at all keeps the queue full.
        if endpoint == silent {
            let warned = |name: &str| log.iter().filter(|line| line["name"] == name).count();
            assert_eq!(warned("BatchSpanProcessor.SpanDroppingStarted"), 1, "{log:#?}");
            assert_eq!(warned("BatchSpanProcessor.SpansDropped"), 1, "{log:#?}");
        }
    }
}

#[tokio::test]
async fn without_an_endpoint_lines_have_the_requests_id_and_no_trace() {
    let api = Api::with(&[("LOG_LEVEL", "debug")]).await;
    let (_, header) = remote(1);
    let headers = [("traceparent", header.as_str()), ("x-request-id", "plain")];
    assert_eq!(api.get_with("/products", &headers).await.status, 200);
    let deadline = std::time::Instant::now() + PATIENCE;
    let line = loop {
        let found =
            api.log().into_iter().find(|line| line["request_id"] == "plain" && line["message"] == "request");
        if let Some(line) = found {
            break line;
        }
        assert!(std::time::Instant::now() < deadline, "{:#?}", api.log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert!(line["trace_id"].is_null() && line["span_id"].is_null(), "{line}");
}
