//! `/api-b/callbacks`: where webhooks go.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::SigningKey;
use crate::sandbox::{Partners, lock};

/// Callbacks that are held at the most.
const MOST: usize = 16;
/// Characters of a URL at the most.
const LONGEST_URL: usize = 1024;

/// Where webhooks are sent, and what signs them.
#[derive(Clone, Debug)]
pub struct Callback {
    /// The URL as it was registered.
    pub url: Uri,
    /// The key for this callback.
    pub key: SigningKey,
}

/// A URL that webhooks can be sent to. Without TLS: partner and callback are on one machine or in one cluster.
pub(super) fn parse_url(url: &str) -> Option<Uri> {
    let uri: Uri = url.parse().ok()?;
    let fits = url.len() <= LONGEST_URL && uri.scheme_str() == Some("http") && uri.host().is_some();
    fits.then_some(uri)
}

pub(crate) fn routes() -> Router<Arc<Partners>> {
    Router::new().route("/api-b/callbacks", post(register).get(list).delete(remove))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Registration {
    url: String,
    /// `whsec_...`; without one the sandbox's own key signs.
    secret: Option<String>,
}

async fn register(
    State(partners): State<Arc<Partners>>,
    Json(Registration { url, secret }): Json<Registration>,
) -> Response {
    let refuse =
        |status: StatusCode, error: String| (status, Json(json!({ "error": error }))).into_response();
    let Some(uri) = parse_url(&url) else {
        let error = format!("url: must be an http:// URL of at most {LONGEST_URL} characters");
        return refuse(StatusCode::UNPROCESSABLE_ENTITY, error);
    };
    let key = match secret.as_deref().map(SigningKey::parse) {
        None => partners.key.clone(),
        Some(Ok(key)) => key,
        Some(Err(error)) => return refuse(StatusCode::UNPROCESSABLE_ENTITY, format!("secret: {error}")),
    };
    let mut callbacks = lock(&partners.callbacks);
    let callback = Callback { url: uri, key };
    let status = if let Some(same) = callbacks.iter_mut().find(|same| same.url == callback.url) {
        *same = callback;
        StatusCode::OK
    } else if callbacks.len() < MOST {
        callbacks.push(callback);
        StatusCode::CREATED
    } else {
        return refuse(StatusCode::CONFLICT, format!("there are {MOST} callbacks already"));
    };
    (status, Json(json!({ "url": url }))).into_response()
}

async fn list(State(partners): State<Arc<Partners>>) -> Json<Value> {
    let urls: Vec<_> = partners.callbacks().iter().map(|callback| callback.url.to_string()).collect();
    Json(json!({ "callbacks": urls }))
}

/// `?url=` says which one.
async fn remove(State(partners): State<Arc<Partners>>, RawQuery(query): RawQuery) -> StatusCode {
    let query = query.unwrap_or_default();
    let url = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "url");
    let Some((_, url)) = url else { return StatusCode::BAD_REQUEST };
    let mut callbacks = lock(&partners.callbacks);
    let before = callbacks.len();
    callbacks.retain(|callback| callback.url != *url);
    if callbacks.len() < before { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
}
