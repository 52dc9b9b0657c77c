//! `/api-b/callbacks`: where webhooks go.

use std::sync::{Mutex, PoisonError};

use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{InvalidKey, SigningKey};
use crate::partners::Partners;

/// Callbacks that are held at the most.
pub(super) const MOST: usize = 16;
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

/// Why a callback is not registered.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallbackError {
    /// Not an `http://` URL with a host, or too long.
    #[error("url: must be an http:// URL of at most {LONGEST_URL} characters")]
    Url,
    /// The secret is no key.
    #[error("secret: {0}")]
    Secret(#[from] InvalidKey),
    /// Too many are registered.
    #[error("there are {MOST} callbacks already")]
    Full,
}

/// The registered callbacks, in the order they came.
#[derive(Default)]
pub(crate) struct Callbacks(Mutex<Vec<Callback>>);

impl Callbacks {
    /// Registers a callback, or gives a known one another key. Returns whether it is new.
    ///
    /// # Errors
    /// There are too many.
    pub(crate) fn register(&self, callback: Callback) -> Result<bool, CallbackError> {
        let mut callbacks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = callbacks.iter_mut().find(|known| known.url == callback.url) {
            *known = callback;
            return Ok(false);
        }
        if callbacks.len() == MOST {
            return Err(CallbackError::Full);
        }
        callbacks.push(callback);
        Ok(true)
    }

    pub(crate) fn remove(&self, url: &str) -> bool {
        let mut callbacks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = callbacks.len();
        callbacks.retain(|callback| callback.url != url);
        callbacks.len() < before
    }

    pub(crate) fn all(&self) -> Vec<Callback> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A URL that webhooks can be sent to. Without TLS: partner and callback are on one machine or in one cluster.
pub(super) fn parse_url(url: &str) -> Result<Uri, CallbackError> {
    let uri: Uri = url.parse().map_err(|_| CallbackError::Url)?;
    let fits = url.len() <= LONGEST_URL && uri.scheme_str() == Some("http") && uri.host().is_some();
    if fits { Ok(uri) } else { Err(CallbackError::Url) }
}

pub(crate) fn routes() -> Router<Partners> {
    Router::new().route("/api-b/callbacks", post(register).get(list).delete(remove))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Registration {
    url: String,
    /// `whsec_...`; without one the sandbox's own key signs.
    secret: Option<String>,
}

impl Registration {
    fn callback(&self, default: &SigningKey) -> Result<Callback, CallbackError> {
        let key = self.secret.as_deref().map(SigningKey::parse).transpose()?;
        Ok(Callback { url: parse_url(&self.url)?, key: key.unwrap_or_else(|| default.clone()) })
    }
}

async fn register(State(partners): State<Partners>, Json(registration): Json<Registration>) -> Response {
    let callback = registration.callback(&partners.key);
    match callback.and_then(|callback| partners.callbacks.register(callback)) {
        Ok(new) => {
            let status = if new { StatusCode::CREATED } else { StatusCode::OK };
            (status, Json(json!({ "url": registration.url }))).into_response()
        }
        Err(error) => error.into_response(),
    }
}

async fn list(State(partners): State<Partners>) -> Json<Value> {
    let urls: Vec<_> = partners.callbacks.all().iter().map(|callback| callback.url.to_string()).collect();
    Json(json!({ "callbacks": urls }))
}

/// `?url=` says which one.
async fn remove(State(partners): State<Partners>, RawQuery(query): RawQuery) -> StatusCode {
    let query = query.unwrap_or_default();
    let url = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "url");
    match url {
        Some((_, url)) if partners.callbacks.remove(&url) => StatusCode::NO_CONTENT,
        Some(_) => StatusCode::NOT_FOUND,
        None => StatusCode::BAD_REQUEST,
    }
}

impl IntoResponse for CallbackError {
    fn into_response(self) -> Response {
        let status = match self {
            CallbackError::Url | CallbackError::Secret(_) => StatusCode::UNPROCESSABLE_ENTITY,
            CallbackError::Full => StatusCode::CONFLICT,
        };
        (status, Json(json!({ "error": self.to_string() }))).into_response()
    }
}
