//! An issuer, and a client that writes by its tokens.

use std::time::{Duration, Instant};

use farmlokal_sandbox::{Config, Sandbox};
use farmlokal_testing::connection_that_runs;
use reqwest::Method;
use reqwest::header::HeaderName;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use sqlx::{MySql, Transaction};

use crate::harness::{Answer, Api, PATIENCE, client, read};

pub const AUDIENCE: &str = "https://api.test";

/// An API that takes the tokens of an issuer.
pub struct Writer {
    pub api: Api,
    pub sandbox: Sandbox,
    pub token: String,
    client: reqwest::Client,
}

impl Writer {
    pub async fn start() -> Writer {
        Self::start_with(0, &[]).await
    }

    /// With so many products, and settings beside the usual ones.
    pub async fn start_with(products: u64, settings: &[(&str, &str)]) -> Writer {
        let sandbox = Sandbox::start_with(Config::default()).await.unwrap();
        let auth = [("AUTH_ISSUER", sandbox.issuer()), ("AUTH_AUDIENCE", AUDIENCE)];
        let api = Api::with_products_and(products, &[&auth, settings].concat()).await;
        let token = token(&sandbox, "products:write").await;
        let writer = Writer { api, sandbox, token, client: client() };
        writer.until_keys_are_there().await;
        writer
    }

    /// Another process in the place of this one, on the same servers.
    pub async fn start_again(&mut self, settings: &[(&str, &str)]) {
        let auth = [("AUTH_ISSUER", self.sandbox.issuer()), ("AUTH_AUDIENCE", AUDIENCE)];
        self.api.start_again(&[&auth, settings].concat()).await;
        self.until_keys_are_there().await;
    }

    async fn until_keys_are_there(&self) {
        while self.send("DELETE", "/products/999999", &[], "").await.status == 503 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The settings of another API that takes the same tokens.
    pub fn settings(&self) -> [(&str, &str); 2] {
        [("AUTH_ISSUER", self.sandbox.issuer()), ("AUTH_AUDIENCE", AUDIENCE)]
    }

    /// For writes from other tasks, to the process that runs now.
    pub fn client(&self) -> Client {
        Client { http: self.client.clone(), base: self.api.url(""), token: self.token.clone() }
    }

    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.client().send(method, path, headers, body).await.unwrap()
    }

    pub async fn post(&self, body: &Value) -> Answer {
        self.send("POST", "/products", &[], &body.to_string()).await
    }

    pub async fn put(&self, id: u64, headers: &[(&str, &str)], body: &Value) -> Answer {
        self.send("PUT", &format!("/products/{id}"), headers, &body.to_string()).await
    }

    pub async fn patch(&self, id: u64, headers: &[(&str, &str)], body: &Value) -> Answer {
        self.send("PATCH", &format!("/products/{id}"), headers, &body.to_string()).await
    }

    pub async fn delete(&self, id: u64, headers: &[(&str, &str)]) -> Answer {
        self.send("DELETE", &format!("/products/{id}"), headers, "").await
    }

    pub async fn batch(&self, headers: &[(&str, &str)], operations: &[Value]) -> Answer {
        let body = json!({"operations": operations}).to_string();
        self.send("POST", "/products/batch", headers, &body).await
    }

    pub async fn count(&self) -> i64 {
        let pool = self.api.database.pool();
        sqlx::query_scalar("SELECT COUNT(*) FROM products").fetch_one(&pool).await.unwrap()
    }

    /// Has every write of this product, which is there, wait.
    pub async fn hold(&self, id: u64) -> Held {
        assert!(self.put(id, &[], &cheese()).await.status < 300);
        let pool = self.api.database.pool();
        let mut held = pool.begin().await.unwrap();
        let lock = "SELECT 1 FROM product_versions WHERE product_id = ? FOR UPDATE";
        sqlx::query(lock).bind(id).fetch_one(&mut *held).await.unwrap();
        Held(held)
    }
}

/// Keeps a product from being written until it is released.
pub struct Held(Transaction<'static, MySql>);

impl Held {
    /// Waits until a write waits.
    pub async fn until_met(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while connection_that_runs(&mut self.0, "INSERT INTO product_versions").await.is_none() {
            assert!(Instant::now() < deadline, "nobody waits");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    pub async fn release(self) {
        self.0.rollback().await.unwrap();
    }
}

/// Whoever has a token for the API at this address.
#[derive(Clone)]
pub struct Client {
    pub http: reqwest::Client,
    pub base: String,
    pub token: String,
}

impl Client {
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Answer, reqwest::Error> {
        send(&self.http, method, &format!("{}{path}", self.base), &self.token, headers, body).await
    }

    /// Sends until it is answered with a 2xx. Every other answer has to be one after which to send it again.
    pub async fn send_until_done(&self, method: &str, path: &str, key: &str, body: &str) -> Answer {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.send(method, path, &[("idempotency-key", key)], body).await.unwrap();
            if answer.status < 300 {
                return answer;
            }
            let code = answer.json()["code"].as_str().unwrap().to_owned();
            assert!(
                answer.status == 503 || code == "write_in_flight",
                "{method} {path} {key}: {answer:?} {code}"
            );
            assert_eq!(answer.header("retry-after"), "1", "{code}");
            assert!(Instant::now() < deadline, "{code}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// One write by this token; a body without a type of its own is JSON.
pub async fn send(
    client: &reqwest::Client,
    method: &str,
    url: &str,
    token: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<Answer, reqwest::Error> {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let mut request = client.request(method, url).timeout(PATIENCE).body(body.to_owned());
    if !headers.iter().any(|(name, _)| *name == "content-type") {
        request = request.header("content-type", "application/json");
    }
    request = request.bearer_auth(token);
    for (name, value) in headers {
        request = request.header(name.parse::<HeaderName>().unwrap(), *value);
    }
    read(request.send().await?).await
}

/// A write as it goes over the wire, with a body that is said to be so long.
pub fn raw(token: &str, method: &str, path: &str, length: usize, body: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\
         Authorization: Bearer {token}\r\n\r\n{body}"
    )
}

/// A token with these scopes, as a client gets it.
pub async fn token(sandbox: &Sandbox, scope: &str) -> String {
    let config = sandbox.config();
    let request = json!({
        "grant_type": "client_credentials",
        "client_id": config.client_id,
        "client_secret": config.client_secret.expose_secret(),
        "audience": AUDIENCE,
        "scope": scope,
    });
    let url = format!("{}/oauth/token", sandbox.url());
    let request = client().post(url).header("content-type", "application/json").body(request.to_string());
    let answer = read(request.send().await.unwrap()).await.unwrap();
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

pub fn cheese() -> Value {
    json!({"name": "Alpine Cheese", "description": "Mild.", "category": "dairy", "price": 12.5})
}

/// What a problem names, and with which codes.
#[track_caller]
pub fn params(answer: &Answer) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let params = answer.json()["params"].as_array().cloned().unwrap_or_default();
    params.iter().map(|param| (text(&param["name"]), text(&param["code"]))).collect()
}
