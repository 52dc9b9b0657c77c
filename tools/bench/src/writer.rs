//! Clients that may write, by the tokens of an issuer of our own.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use axum::http::Method;
use farmlokal_sandbox::{Config, Sandbox};
use farmlokal_testing::http::{Answer, Client};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::load::{Engine, Outcome, open_loop};
use crate::queries::Query;
use crate::server::Server;

/// Lists a second beside all writes, and the connections that they come over.
pub(crate) const LISTS: u32 = 1_000;
const CONNECTIONS: usize = 16;
/// The category of products of a bench's own, or how it begins.
pub(crate) const CATEGORY: &str = "bench-writes";
const AUDIENCE: &str = "https://api.bench";
/// Products have smaller ids.
const NO_PRODUCT: &str = "/products/9007199254740991";

/// The issuer. It ends with this value.
pub(crate) struct Issuer(Sandbox);

impl Issuer {
    pub(crate) async fn start() -> Result<Issuer> {
        Ok(Issuer(Sandbox::start_with(Config::default()).await?))
    }

    /// What an API needs to take its tokens.
    pub(crate) fn settings(&self) -> [(&str, &str); 2] {
        [("AUTH_ISSUER", self.0.issuer()), ("AUTH_AUDIENCE", AUDIENCE)]
    }

    /// What the k6 scripts need to get tokens.
    pub(crate) fn environment(&self) -> [String; 2] {
        [format!("TOKEN_URL={}", self.0.token_url()), format!("AUDIENCE={AUDIENCE}")]
    }

    /// A client of an API that takes these tokens. It waits until that has the keys.
    pub(crate) async fn writer(&self, api: &Server) -> Result<Writer> {
        let config = self.0.config();
        let request = json!({
            "grant_type": "client_credentials",
            "client_id": config.client_id,
            "client_secret": config.client_secret.expose_secret(),
            "audience": AUDIENCE,
            "scope": "products:write",
        });
        let answer = Client::new(self.0.address()).post("/oauth/token", &request).await?.json()?;
        let token = answer["access_token"].as_str().context("no token")?;
        let mut writer = Writer::new(api.address, format!("Bearer {token}"));
        loop {
            let status = writer.send(Method::PATCH, NO_PRODUCT, None, &json!({})).await?.status;
            if status != 503 {
                ensure!(status == 404, "a write is answered with {status}");
                return Ok(writer);
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// A client with a token.
pub(crate) struct Writer {
    api: SocketAddr,
    authorization: String,
    client: Client,
}

impl Clone for Writer {
    /// With a connection of its own.
    fn clone(&self) -> Writer {
        Writer::new(self.api, self.authorization.clone())
    }
}

impl Writer {
    fn new(api: SocketAddr, authorization: String) -> Writer {
        Writer { api, authorization, client: Client::new(api) }
    }

    /// Any status is an answer.
    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        if_match: Option<&str>,
        body: &Value,
    ) -> Result<Answer> {
        let mut headers = vec![("authorization", &*self.authorization)];
        headers.extend(if_match.map(|etag| ("if-match", etag)));
        self.client.send_json(method, path, &headers, body).await
    }

    /// Sends a batch, which has to take effect.
    pub(crate) async fn batch(&mut self, operations: Vec<Value>) -> Result<Value> {
        let body = json!({ "operations": operations });
        let answer = self.send(Method::POST, "/products/batch", None, &body).await?;
        ensure!(answer.status == 200, "a batch is answered with {}: {}", answer.status, answer.text());
        Ok(answer.json()?)
    }
}

/// Products that are created, put, patched and deleted, again and again: one by one, or several in each batch.
pub(crate) struct Cycle {
    drafts: Vec<Value>,
    /// Ids and entity tags, once they are known.
    products: Vec<(u64, String)>,
    action: Action,
}

#[derive(Clone, Copy)]
enum Action {
    Create,
    Put,
    Patch,
    Delete,
}

impl Action {
    fn next(self) -> Action {
        match self {
            Action::Create => Action::Put,
            Action::Put => Action::Patch,
            Action::Patch => Action::Delete,
            Action::Delete => Action::Create,
        }
    }
}

impl Cycle {
    pub(crate) fn new(drafts: Vec<Value>) -> Cycle {
        Cycle { drafts, products: Vec::new(), action: Action::Create }
    }

    /// Sends the next write. One that was not [learnt](Self::learn) is sent again.
    pub(crate) async fn send(&self, writer: &mut Writer) -> Result<Answer> {
        let repriced = json!({ "price": 7.5 });
        if let [draft] = &self.drafts[..] {
            let known = self.products.first();
            let path = known.map_or("/products".to_owned(), |(id, _)| format!("/products/{id}"));
            let etag = known.map(|(_, etag)| etag.as_str());
            let (method, etag, body) = match self.action {
                Action::Create => (Method::POST, None, draft),
                Action::Put => (Method::PUT, None, draft),
                Action::Patch => (Method::PATCH, etag, &repriced),
                Action::Delete => (Method::DELETE, None, &Value::Null),
            };
            return writer.send(method, &path, etag, body).await;
        }
        let operations = self.drafts.iter().enumerate().map(|(index, draft)| {
            let (id, etag) = self.products.get(index).map(|(id, etag)| (*id, &**etag)).unwrap_or_default();
            match self.action {
                Action::Create => json!({ "action": "create", "product": draft }),
                Action::Put => json!({ "action": "put", "id": id, "product": draft }),
                Action::Patch => json!({ "action": "patch", "id": id, "ifMatch": etag, "product": repriced }),
                Action::Delete => json!({ "action": "delete", "id": id }),
            }
        });
        let body = json!({ "operations": operations.collect::<Vec<_>>() });
        writer.send(Method::POST, "/products/batch", None, &body).await
    }

    /// Takes ids and entity tags from the answer to a write that took effect.
    pub(crate) fn learn(&mut self, answer: &Answer) -> Result<()> {
        let product = |id: &Value, etag: &str| Ok((id.as_u64().context("no id")?, etag.to_owned()));
        self.products = match (self.action, self.drafts.len()) {
            (Action::Delete, _) => Vec::new(),
            (_, 1) => vec![product(&answer.json()?["id"], answer.header("etag"))?],
            _ => {
                let answer = answer.json()?;
                let results = answer["results"].as_array().context("no results")?.iter();
                results
                    .map(|result| product(&result["id"], result["etag"].as_str().unwrap_or_default()))
                    .collect::<Result<_>>()?
            }
        };
        self.action = self.action.next();
        Ok(())
    }
}

/// So many products of the bench's own.
pub(crate) async fn made(writer: &Writer, count: usize) -> Result<Vec<u64>> {
    let operations = (0..count).map(|nth| {
        let category = format!("{CATEGORY}-{nth}");
        json!({"action": "create", "product": {"name": "Own", "description": "-", "category": category, "price": 1}})
    });
    let answer = writer.clone().batch(operations.collect()).await?;
    let results = answer["results"].as_array().context("no results")?;
    results.iter().map(|result| result["id"].as_u64().context("no id")).collect()
}

/// Hot lists, for so long.
pub(crate) async fn lists(api: SocketAddr, duration: Duration) -> Result<Outcome> {
    let hot = Query { path: "/products?limit=20".to_owned(), ..Query::default() };
    let count = LISTS as usize * usize::try_from(duration.as_secs())?;
    open_loop(&Engine::Api(api), vec![hot; count], LISTS.into(), CONNECTIONS, duration).await
}
