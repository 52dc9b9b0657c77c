//! `/control`: switches faults and tells what happened. Only the sandbox has it, no partner.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::api_b::{Plan, Report, SendError};
use crate::faults::Fault;
use crate::journal::{Counters, Endpoint, Faults, Seen};
use crate::object::{Object, object};
use crate::sandbox::Partners;

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
    Json(partners.faults())
}

/// New faults for the endpoints that it names; the others keep theirs.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FaultChange {
    token: Option<Box<RawValue>>,
    api_a: Option<Box<RawValue>>,
    api_b: Option<Box<RawValue>>,
}

async fn change_faults(
    State(partners): State<Partners>,
    Object(FaultChange { token, api_a, api_b }): Object<FaultChange>,
) -> Result<Json<Faults>, (StatusCode, String)> {
    let mut faults = partners.faults();
    for (endpoint, change) in [(Endpoint::Token, token), (Endpoint::ApiA, api_a), (Endpoint::ApiB, api_b)] {
        if let Some(change) = change {
            let fault: serde_json::Result<Fault> = object(change.get().as_bytes());
            *faults.of(endpoint) =
                fault.map_err(|error| (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))?;
        }
    }
    partners.set_faults(faults.clone());
    Ok(Json(faults))
}

async fn counters(State(partners): State<Partners>) -> Json<Counters> {
    Json(partners.counters())
}

async fn requests(State(partners): State<Partners>) -> Json<Vec<Seen>> {
    Json(partners.requests())
}

async fn revoke_tokens(State(partners): State<Partners>) -> StatusCode {
    partners.revoke_tokens();
    StatusCode::NO_CONTENT
}

/// Begins a run of webhooks; every member of the plan has a default.
async fn send(State(partners): State<Partners>, Object(plan): Object<Plan>) -> Response {
    match partners.send(plan) {
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
    partners.report().map(Json).ok_or(StatusCode::NOT_FOUND)
}

async fn stop(State(partners): State<Partners>) -> StatusCode {
    partners.stop_sending();
    StatusCode::NO_CONTENT
}

async fn reset(State(partners): State<Partners>) -> StatusCode {
    partners.reset();
    StatusCode::NO_CONTENT
}
