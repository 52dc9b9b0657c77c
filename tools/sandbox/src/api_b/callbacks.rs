//! `/api-b/callbacks`: where webhooks go.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use crate::sandbox::{Partners, lock};

/// Callbacks that are held at the most.
const MOST: usize = 16;
/// Characters of a URL at the most.
const LONGEST_URL: usize = 1024;

/// A URL that webhooks can be sent to. Without TLS: partner and callback are on one machine or in one cluster.
fn parse_url(url: &str) -> Option<Uri> {
    let uri: Uri = url.parse().ok()?;
    let fits = url.len() <= LONGEST_URL && uri.scheme_str() == Some("http") && uri.host().is_some();
    fits.then_some(uri)
}

pub(crate) fn routes() -> Router<Arc<Partners>> {
    Router::new().route("/api-b/callbacks", post(register))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Registration {
    url: String,
}

async fn register(
    State(partners): State<Arc<Partners>>,
    Json(Registration { url }): Json<Registration>,
) -> Response {
    let refuse =
        |status: StatusCode, error: String| (status, Json(json!({ "error": error }))).into_response();
    let Some(uri) = parse_url(&url) else {
        let error = format!("url: must be an http:// URL of at most {LONGEST_URL} characters");
        return refuse(StatusCode::UNPROCESSABLE_ENTITY, error);
    };
    let mut callbacks = lock(&partners.callbacks);
    let status = if callbacks.contains(&uri) {
        StatusCode::OK
    } else if callbacks.len() < MOST {
        callbacks.push(uri);
        StatusCode::CREATED
    } else {
        return refuse(StatusCode::CONFLICT, format!("there are {MOST} callbacks already"));
    };
    (status, Json(json!({ "url": url }))).into_response()
}
