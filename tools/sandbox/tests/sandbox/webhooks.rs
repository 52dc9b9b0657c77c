use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::IntoResponse as _;
use farmlokal_sandbox::{Plan, Report, Sandbox, SigningKey, State};
use secrecy::ExposeSecret as _;
use serde_json::json;
use tokio::net::TcpListener;

use crate::client::{client, read, send};
use crate::receiver::{Delivery, Receiver};

fn ok() -> axum::response::Response {
    StatusCode::OK.into_response()
}

/// As fast as it goes, and soon again.
fn quick() -> Plan {
    Plan { rate: 0, backoff_ms: 1, max_backoff_ms: 5, ..Plan::default() }
}

async fn register(sandbox: &Sandbox, url: String) {
    let answer = send("POST", &sandbox.callbacks_url(), &json!({ "url": url })).await.unwrap();
    assert_eq!(answer.status, 201);
}

/// A sandbox that sends to this callback.
async fn sandbox_for(receiver: &Receiver) -> Sandbox {
    let sandbox = Sandbox::start().await.unwrap();
    register(&sandbox, receiver.url()).await;
    sandbox
}

fn key(sandbox: &Sandbox) -> SigningKey {
    SigningKey::parse(sandbox.config().webhook_secret.expose_secret()).unwrap()
}

async fn sent(sandbox: &Sandbox, plan: Plan) -> Report {
    sandbox.send(plan).unwrap();
    sandbox.sent().await.unwrap()
}

#[tokio::test]
async fn every_event_arrives_signed_and_is_what_the_plan_says() {
    let receiver = Receiver::start(|_| ok()).await;
    let sandbox = sandbox_for(&receiver).await;
    let report = sent(&sandbox, Plan { count: 200, ..quick() }).await;
    assert_eq!((report.state, report.acknowledged, report.abandoned), (State::Finished, 200, 0));
    assert_eq!(report.unacknowledged, [""; 0]);
    let deliveries = receiver.deliveries();
    assert_eq!(deliveries.len(), report.deliveries);
    assert!(report.deliveries > 200, "no duplicates");
    assert_eq!(report.answers, BTreeMap::from([("200".to_owned(), deliveries.len() as u64)]));

    let bodies: HashMap<_, _> = report
        .plan
        .events()
        .map(|event| (event.event_id.clone(), serde_json::to_value(&event).unwrap()))
        .collect();
    let key = key(&sandbox);
    for Delivery { id, timestamp, signature, body, .. } in deliveries {
        assert_eq!(bodies[&id], serde_json::from_slice::<serde_json::Value>(&body).unwrap());
        assert_eq!(signature, key.sign(&id, timestamp, &body));
        assert!((chrono::Utc::now().timestamp() - timestamp).abs() < 60);
    }
}

#[tokio::test]
async fn the_order_follows_from_the_seed() {
    let mut orders = Vec::new();
    for seed in [1, 1, 2] {
        let receiver = Receiver::start(|_| ok()).await;
        let sandbox = sandbox_for(&receiver).await;
        let report = sent(&sandbox, Plan { senders: 1, seed, ..quick() }).await;
        let number = |delivery: &Delivery| delivery.id.rsplit('_').next().unwrap().to_owned();
        let numbers = receiver.deliveries().iter().map(number).collect::<Vec<_>>();
        assert_eq!(numbers.len(), report.deliveries);
        assert!(!numbers.is_sorted(), "not reordered");
        orders.push(numbers);
    }
    assert_eq!(orders[0], orders[1]);
    assert_ne!(orders[0], orders[2]);
}

#[tokio::test]
async fn what_is_not_acknowledged_is_sent_again_with_the_same_id_and_body() {
    let receiver = Receiver::start(|times| match times {
        1 => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        2 => StatusCode::CONFLICT.into_response(),
        3 => StatusCode::FOUND.into_response(),
        _ => StatusCode::NO_CONTENT.into_response(),
    })
    .await;
    let sandbox = sandbox_for(&receiver).await;
    let report = sent(&sandbox, Plan { count: 30, duplicates: 0.0, ..quick() }).await;
    assert_eq!((report.acknowledged, report.attempts), (30, 120));
    for status in ["500", "409", "302", "204"] {
        assert_eq!(report.answers[status], 30);
    }
    let mut bodies = HashMap::new();
    for delivery in receiver.deliveries() {
        let body = bodies.entry(delivery.id).or_insert_with(|| delivery.body.clone());
        assert_eq!(*body, delivery.body);
    }
}

#[tokio::test]
async fn retry_after_is_waited_for() {
    let receiver = Receiver::start(|times| match times {
        1 => (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")]).into_response(),
        _ => ok(),
    })
    .await;
    let sandbox = sandbox_for(&receiver).await;
    let plan = Plan { count: 1, duplicates: 0.0, max_backoff_ms: 2_000, reorder: 0, ..quick() };
    assert_eq!(sent(&sandbox, plan).await.acknowledged, 1);
    let deliveries = receiver.deliveries();
    assert!(deliveries[1].at - deliveries[0].at >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_callback_that_is_down_gets_everything_once_it_is_back() {
    let sandbox = Sandbox::start().await.unwrap();
    let reserved = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = reserved.local_addr().unwrap();
    drop(reserved);
    register(&sandbox, format!("http://{address}/webhook")).await;
    let plan = Plan {
        count: 50,
        rate: 0,
        backoff_ms: 1,
        max_backoff_ms: 20,
        max_attempts: 10_000,
        ..Plan::default()
    };
    sandbox.send(plan).unwrap();
    while sandbox.report().unwrap().answers.get("none").is_none_or(|failed| *failed < 100) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(sandbox.report().unwrap().acknowledged, 0);
    let receiver = Receiver::start_on(TcpListener::bind(address).await.unwrap(), |_| ok());
    let report = sandbox.sent().await.unwrap();
    assert_eq!((report.state, report.acknowledged), (State::Finished, 50));
    assert_eq!(receiver.deliveries().len(), report.deliveries);
}

#[tokio::test]
async fn what_is_never_acknowledged_is_given_up_and_named() {
    let receiver = Receiver::start(|_| StatusCode::BAD_REQUEST.into_response()).await;
    let sandbox = sandbox_for(&receiver).await;
    let plan = Plan { count: 3, duplicates: 0.0, reorder: 0, max_attempts: 4, ..quick() };
    let report = sent(&sandbox, plan).await;
    assert_eq!((report.state, report.abandoned, report.attempts), (State::Finished, 3, 12));
    let ids: Vec<_> = report.plan.events().map(|event| event.event_id).collect();
    assert_eq!(report.unacknowledged, ids);
}

#[tokio::test]
async fn each_registered_callback_gets_every_event() {
    let sandbox = Sandbox::start().await.unwrap();
    let (first, second) = (Receiver::start(|_| ok()).await, Receiver::start(|_| ok()).await);
    register(&sandbox, first.url()).await;
    register(&sandbox, second.url()).await;
    let report = sent(&sandbox, Plan { count: 10, duplicates: 0.0, rate: 0, ..Plan::default() }).await;
    assert_eq!((report.acknowledged, report.deliveries), (10, 20));
    for receiver in [first, second] {
        assert_eq!(receiver.deliveries().len(), 10);
        for Delivery { id, timestamp, signature, body, .. } in receiver.deliveries() {
            assert_eq!(signature, key(&sandbox).sign(&id, timestamp, &body));
        }
    }
}

#[tokio::test]
async fn as_many_requests_are_in_flight_as_there_are_senders() {
    let sandbox = Sandbox::start().await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    register(&sandbox, format!("http://{}/webhook", listener.local_addr().unwrap())).await;
    let (in_flight, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let barrier = Arc::new(tokio::sync::Barrier::new(3));
    let answer = {
        let (in_flight, most) = (Arc::clone(&in_flight), Arc::clone(&most));
        move || async move {
            most.fetch_max(in_flight.fetch_add(1, SeqCst) + 1, SeqCst);
            // Nobody is answered until three are here.
            barrier.wait().await;
            in_flight.fetch_sub(1, SeqCst);
        }
    };
    let router = axum::Router::new().route("/webhook", axum::routing::post(answer));
    tokio::spawn(axum::serve(listener, router).into_future());
    let plan = Plan { count: 30, senders: 3, duplicates: 0.0, rate: 0, ..Plan::default() };
    assert_eq!(sent(&sandbox, plan).await.acknowledged, 30);
    assert_eq!(most.load(SeqCst), 3);
}

#[tokio::test]
async fn a_run_is_begun_watched_and_ended_over_http() {
    let sandbox = Sandbox::start().await.unwrap();
    let url = format!("{}/control/webhooks", sandbox.url());
    assert_eq!(read(client().get(&url)).await.unwrap().status, 404);
    let nowhere = send("POST", &url, &json!({})).await.unwrap();
    let refused = sandbox.send(Plan::default()).unwrap_err();
    assert_eq!((nowhere.status, refused.0), (409, StatusCode::CONFLICT));

    let receiver = Receiver::start(|_| ok()).await;
    register(&sandbox, receiver.url()).await;
    for bad in [json!({ "count": 0 }), json!({ "counts": 1 })] {
        assert_eq!(send("POST", &url, &bad).await.unwrap().status, 422, "{bad}");
    }
    let begun = send("POST", &url, &json!({ "count": 100_000, "rate": 100 })).await.unwrap();
    assert_eq!((begun.status, begun.json()["state"].as_str()), (202, Some("running")));
    assert_eq!(send("POST", &url, &json!({})).await.unwrap().status, 409);
    while receiver.deliveries().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(read(client().delete(&url)).await.unwrap().status, 200);
    let report = sandbox.sent().await.unwrap();
    assert_eq!(report.state, State::Stopped);
    assert!(report.acknowledged >= 1 && report.unacknowledged.len() == 100, "{report:?}");
    let shown = read(client().get(&url)).await.unwrap().json();
    assert_eq!(shown["acknowledged"], report.acknowledged);
    // And another one may begin.
    assert_eq!(send("POST", &url, &json!({ "count": 1, "reorder": 0 })).await.unwrap().status, 202);
    assert_eq!(sandbox.sent().await.unwrap().state, State::Finished);
}
