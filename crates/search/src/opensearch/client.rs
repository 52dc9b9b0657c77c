//! The calls of OpenSearch's REST API that we need. The crates there are bring a provider of rustls that is not ours.

use std::time::Duration;

use reqwest::{Certificate, Client as Http, Method, StatusCode, redirect, retry};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tracing::{Instrument as _, info_span};
use url::Url;

use super::documents::alias;
use crate::{EngineError, SearchConfig};

/// The longest that making a connection may take, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// The longest that a call may take: a bulk on a busy cluster. Searches have their own deadline.
const TIMEOUT: Duration = Duration::from_secs(20);
/// What a write of an older state is told.
const CONFLICT: &str = "version_conflict_engine_exception";
const NO_INDEX: &str = "index_not_found_exception";

pub(crate) struct Client {
    http: Http,
    /// With the password.
    base: Url,
}

impl Client {
    pub(super) fn new(base: Url, config: &SearchConfig) -> Result<Client, EngineError> {
        // An error says that the program has already chosen one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let pem = config.tls_ca.as_ref().map_or("", SecretString::expose_secret);
        let http = Certificate::from_pem_bundle(pem.as_bytes()).and_then(|ca| {
            let http = Http::builder().no_proxy().redirect(redirect::Policy::none()).retry(retry::never());
            http.tls_certs_merge(ca).connect_timeout(CONNECT_TIMEOUT).timeout(TIMEOUT).build()
        });
        Ok(Client { http: http.map_err(unavailable)?, base })
    }

    /// The names of the indices with an [`alias`] that begins so: ours, and those of longer prefixes.
    pub(super) async fn indices(&self, prefix: &str) -> Result<Vec<String>, EngineError> {
        let path = format!("_alias/{}", alias(&format!("{prefix}-v*")));
        let indices = self.call(Method::GET, &path, String::new()).await?;
        Ok(indices.as_object().into_iter().flat_map(|indices| indices.keys().cloned()).collect())
    }

    /// Writes these lines, and lets searches see them: in every copy, before it comes back. An index that is gone is not made anew.
    /// `false` where the index has a newer state of one.
    pub(super) async fn bulk(&self, index: &str, lines: &str, refresh: bool) -> Result<bool, EngineError> {
        let path = format!(
            "{}/_bulk?require_alias=true&refresh={refresh}&filter_path=errors,items.*.error",
            alias(index)
        );
        let answer = self.call(Method::POST, &path, lines.to_owned()).await?;
        let items = answer["items"].as_array().into_iter().flatten().filter_map(Value::as_object);
        let mut errors = items.flat_map(|item| item.values()).map(|item| &item["error"]);
        match errors.find(|error| error["type"] != CONFLICT) {
            None if answer["errors"].is_boolean() => Ok(answer["errors"] == false),
            Some(error) if error["type"] == NO_INDEX => Err(EngineError::NotBuilt),
            error => Err(EngineError::Unavailable(reason(error.unwrap_or(&Value::Null)))),
        }
    }

    /// How many documents the index has.
    pub(crate) async fn count(&self, index: &str) -> Result<u64, EngineError> {
        let found = self.search(index, &json!({"size": 0, "track_total_hits": true})).await?;
        Ok(found["hits"]["total"]["value"].as_u64().unwrap_or(0))
    }

    /// An answer of all shards, or none.
    pub(super) async fn search(&self, index: &str, body: &Value) -> Result<Value, EngineError> {
        let path = format!("{index}/_search?allow_partial_search_results=false");
        self.call(Method::POST, &path, body.to_string()).await
    }

    pub(super) async fn call(&self, method: Method, path: &str, body: String) -> Result<Value, EngineError> {
        let span = info_span!("opensearch", otel.kind = "client", db.system.name = "opensearch");
        let url = self.base.join(path).map_err(|error| EngineError::Failed(error.to_string()))?;
        let request = self.http.request(method, url).header("content-type", "application/json").body(body);
        let exchange = async {
            let response = request.send().await?;
            Ok((response.status(), response.bytes().await?))
        };
        let (status, body) = exchange.instrument(span).await.map_err(unavailable)?;
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        let error = &answer["error"];
        match status {
            _ if status.is_success() => Ok(answer),
            StatusCode::NOT_FOUND if error["type"] == NO_INDEX => Err(EngineError::NotBuilt),
            StatusCode::TOO_MANY_REQUESTS => Err(EngineError::Busy),
            StatusCode::BAD_REQUEST => Err(EngineError::Failed(reason(error))),
            _ => Err(EngineError::Unavailable(format!("{status}: {}", reason(error)))),
        }
    }
}

fn reason(error: &Value) -> String {
    [&error["type"], &error["reason"]].map(|part| part.as_str().unwrap_or("?")).join(": ")
}

/// Without the URL, which has the password.
fn unavailable(error: reqwest::Error) -> EngineError {
    let error = error.without_url();
    let cause = std::error::Error::source(&error).map_or_else(String::new, |cause| format!(": {cause}"));
    EngineError::Unavailable(format!("{error}{cause}"))
}
