//! An issuer, and a client that writes by its tokens.

use farmlokal_sandbox::{Config, Sandbox};
use reqwest::Method;
use reqwest::header::HeaderName;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

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
        // Until the keys are there.
        while writer.send("DELETE", "/products/9", &[], "").await.status == 503 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        writer
    }

    /// The settings of another API that takes the same tokens.
    pub fn settings(&self) -> [(&str, &str); 2] {
        [("AUTH_ISSUER", self.sandbox.issuer()), ("AUTH_AUDIENCE", AUDIENCE)]
    }

    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let url = self.api.url(path);
        send(&self.client, method, &url, &self.token, headers, body).await.unwrap()
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
    request = request.header("content-type", "application/json").bearer_auth(token);
    for (name, value) in headers {
        request = request.header(name.parse::<HeaderName>().unwrap(), *value);
    }
    read(request.send().await?).await
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
