//! `/control`: switches faults and tells what happened. Only the sandbox has it, no partner.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde_json::json;
use tokio::runtime::Handle;

use crate::api_b::{Plan, Report, SendError};
use crate::faults::{FaultChange, Faults};
use crate::journal::{Counters, Seen};
use crate::partners::Partners;

pub(crate) fn routes() -> Router<Partners> {
    Router::new()
        .route("/control/faults", get(faults).put(change_faults))
        .route("/control/counters", get(counters))
        .route("/control/requests", get(requests))
        .route("/control/tokens", delete(revoke_tokens))
        .route("/control/webhooks", get(report).post(send).delete(stop))
        .route("/control/reset", post(reset))
}

async fn faults(State(partners): State<Partners>) -> Json<Faults> {
    Json(partners.faults.get())
}

async fn change_faults(State(partners): State<Partners>, Json(change): Json<FaultChange>) -> Json<Faults> {
    Json(partners.faults.change(change))
}

async fn counters(State(partners): State<Partners>) -> Json<Counters> {
    Json(partners.journal.counters())
}

async fn requests(State(partners): State<Partners>) -> Json<Vec<Seen>> {
    Json(partners.journal.seen())
}

async fn revoke_tokens(State(partners): State<Partners>) -> StatusCode {
    partners.bearers.revoke_all();
    StatusCode::NO_CONTENT
}

/// Begins a run of webhooks; every member of the plan has a default.
async fn send(State(partners): State<Partners>, Json(plan): Json<Plan>) -> Response {
    match partners.sender.start(&partners, plan, &Handle::current()) {
        Ok(report) => (StatusCode::ACCEPTED, Json(report)).into_response(),
        Err(error) => {
            let status = match error {
                SendError::Plan(_) => StatusCode::UNPROCESSABLE_ENTITY,
                SendError::Busy | SendError::NoCallback => StatusCode::CONFLICT,
            };
            (status, Json(json!({ "error": error.to_string() }))).into_response()
        }
    }
}

async fn report(State(partners): State<Partners>) -> Result<Json<Report>, StatusCode> {
    partners.sender.report().map(Json).ok_or(StatusCode::NOT_FOUND)
}

async fn stop(State(partners): State<Partners>) -> StatusCode {
    partners.sender.stop();
    StatusCode::NO_CONTENT
}

async fn reset(State(partners): State<Partners>) -> StatusCode {
    partners.reset();
    StatusCode::NO_CONTENT
}
