//! A client that keeps no connection, so that a broken one is nobody else's.

use farmlokal_sandbox::Sandbox;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

pub fn client() -> reqwest::Client {
    // A client wants a TLS provider even for plain HTTP.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap()
}

pub async fn read(request: reqwest::RequestBuilder) -> Result<Answer, reqwest::Error> {
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Ok(Answer { status, headers, body: response.text().await? })
}

/// Asks with a JSON body.
pub async fn send(method: &str, url: &str, body: &Value) -> Result<Answer, reqwest::Error> {
    let method = method.parse().unwrap();
    let request = client().request(method, url).header(CONTENT_TYPE, "application/json");
    read(request.body(body.to_string())).await
}

/// Asks for a token with the right credentials.
pub async fn ask_for_token(sandbox: &Sandbox) -> Result<Answer, reqwest::Error> {
    let config = sandbox.config();
    let credentials = json!({
        "grant_type": "client_credentials",
        "client_id": config.client_id,
        "client_secret": config.client_secret.expose_secret(),
    });
    send("POST", &sandbox.token_url(), &credentials).await
}

pub async fn token(sandbox: &Sandbox) -> String {
    let answer = ask_for_token(sandbox).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

pub async fn ask_api_a(sandbox: &Sandbox, token: &str) -> Result<Answer, reqwest::Error> {
    read(client().get(sandbox.api_a_url()).header(AUTHORIZATION, format!("Bearer {token}"))).await
}
