//! API A: one small answer for those with a valid token.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use chrono::{SecondsFormat, Utc};
use serde_json::json;

use crate::journal::Endpoint;
use crate::sandbox::Partners;

pub(crate) fn routes() -> Router<Arc<Partners>> {
    Router::new().route("/api-a/status", get(status))
}

async fn status(State(partners): State<Arc<Partners>>, headers: HeaderMap) -> Response {
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let token = header.strip_prefix("Bearer ").unwrap_or_default();
    if !partners.tokens.accepts(token) {
        return Endpoint::ApiA.refusal();
    }
    let sequence = partners.sequence.fetch_add(1, Relaxed) + 1;
    let served_at = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
    Json(json!({ "service": "api-a", "servedAt": served_at, "sequence": sequence })).into_response()
}
