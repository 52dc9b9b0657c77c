//! A partner who sends events.

use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};

use crate::harness::{Answer, Api, PATIENCE, read};

/// The key that tests sign with, and one that took its place.
pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
pub const NEXT_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// The API with the key.
pub async fn api() -> Api {
    Api::with(&[("WEBHOOK_SECRETS", SECRET)]).await
}

/// A `webhook-signature`, made here from the specification alone.
pub fn sign(secret: &str, id: &str, timestamp: i64, body: &[u8]) -> String {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap();
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// An event as a partner writes it.
#[derive(Clone, Debug)]
pub struct Event {
    pub id: String,
    pub body: Value,
}

static IDS: AtomicU64 = AtomicU64::new(0);

impl Event {
    pub fn new(kind: &str, occurred_at: DateTime<Utc>, data: &Value) -> Event {
        let id = format!("evt_{}", IDS.fetch_add(1, Ordering::Relaxed));
        let body = json!({"eventId": id, "type": kind, "occurredAt": occurred_at.to_rfc3339(), "data": data});
        Event { id, body }
    }

    pub fn upsert(product: u64, name: &str, price: f64, at: DateTime<Utc>) -> Event {
        let data = json!({
            "id": product, "name": name, "description": "As described.", "category": "sports", "price": price
        });
        Event::new("product.upserted", at, &data)
    }

    pub fn price(product: u64, price: f64, at: DateTime<Utc>) -> Event {
        Event::new("product.price_changed", at, &json!({"id": product, "price": price}))
    }

    pub fn delete(product: u64, at: DateTime<Utc>) -> Event {
        Event::new("product.deleted", at, &json!({"id": product}))
    }

    /// The headers of a delivery that is signed now.
    pub fn headers(&self, secret: &str) -> Vec<(&'static str, String)> {
        self.headers_at(secret, Utc::now().timestamp())
    }

    pub fn headers_at(&self, secret: &str, timestamp: i64) -> Vec<(&'static str, String)> {
        vec![
            ("webhook-id", self.id.clone()),
            ("webhook-timestamp", timestamp.to_string()),
            ("webhook-signature", sign(secret, &self.id, timestamp, self.body.to_string().as_bytes())),
        ]
    }
}

/// A time so many seconds ago; a larger number is earlier.
pub fn ago(seconds: i64) -> DateTime<Utc> {
    Utc::now() - TimeDelta::seconds(seconds)
}

pub async fn try_post(
    client: &reqwest::Client,
    url: &str,
    headers: &[(&'static str, String)],
    body: impl Into<reqwest::Body>,
) -> Result<Answer, reqwest::Error> {
    let mut request = client.post(url).timeout(PATIENCE).body(body);
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    read(request.send().await?).await
}

pub async fn post(api: &Api, headers: &[(&'static str, String)], body: impl Into<reqwest::Body>) -> Answer {
    try_post(&api.client(), &api.url("/webhook"), headers, body).await.unwrap()
}

/// Delivers an event, signed, once.
pub async fn deliver(api: &Api, event: &Event) -> Answer {
    post(api, &event.headers(SECRET), event.body.to_string()).await
}

/// Delivers an event that must take effect, and says what became of it.
#[track_caller]
pub fn status(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?} {}", answer.text());
    answer.json()["status"].as_str().unwrap().to_owned()
}

/// Status and code of a problem.
#[track_caller]
pub fn problem(answer: &Answer) -> (u16, String) {
    assert_eq!(answer.header("content-type"), "application/problem+json", "{answer:?}");
    (answer.status, answer.json()["code"].as_str().unwrap().to_owned())
}
