//! The callback is registered with the partner, without anybody waiting for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::StatusCode;
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::harness::Api;

#[tokio::test(flavor = "multi_thread")]
async fn the_callback_is_registered_once_the_partner_takes_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let partner = format!("http://{}/api-b", listener.local_addr().unwrap());
    let callback = "http://us.example/webhook?token=hidden-away";
    let settings = [("API_B_URL", partner.as_str()), ("WEBHOOK_CALLBACK_URL", callback)];
    // The partner takes connections and says nothing: the API serves nevertheless.
    let mut api = Api::with(&settings).await;
    assert_eq!(api.get("/products").await.status, 200);
    assert_eq!(api.metric("farmlokal_webhook_registered", &[]).await, 0.0);

    let (sender, mut taken) = mpsc::unbounded_channel();
    let attempts = Arc::new(AtomicUsize::new(0));
    let handler = async move |body: String| match attempts.fetch_add(1, Ordering::Relaxed) {
        0 | 1 => StatusCode::INTERNAL_SERVER_ERROR,
        _ => {
            sender.send(serde_json::from_str::<Value>(&body).unwrap()).unwrap();
            StatusCode::CREATED
        }
    };
    let partner = axum::Router::new().route("/api-b/callbacks", post(handler));
    tokio::spawn(async move { axum::serve(listener, partner).await });
    assert_eq!(taken.recv().await.unwrap(), json!({"url": callback}));
    api.until("/metrics", |answer| answer.text().contains("farmlokal_webhook_registered 1")).await;
    for event in api.process().log() {
        assert!(!event.to_string().contains("hidden-away"), "{event}");
    }
}
