//! `/control`: switches faults and tells what happened. Only the sandbox has it, no partner.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::api_b::{Plan, Report, SendError};
use crate::faults::Fault;
use crate::journal::{Endpoint, Faults};
use crate::object::{Object, object};
use crate::sandbox::Partners;

type Shared = State<Arc<Partners>>;

pub(crate) fn routes() -> Router<Arc<Partners>> {
    let stop = async |State(partners): Shared| partners.stop_sending();
    Router::new()
        .route(
            "/control/faults",
            get(async |State(partners): Shared| Json(partners.faults())).put(change_faults),
        )
        .route("/control/counters", get(async |State(partners): Shared| Json(partners.counters())))
        .route("/control/requests", get(async |State(partners): Shared| Json(partners.requests())))
        .route("/control/tokens", delete(async |State(partners): Shared| partners.revoke_tokens()))
        .route("/control/webhooks", get(report).post(send).delete(stop))
        .route("/control/reset", post(async |State(partners): Shared| partners.reset()))
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
    State(partners): Shared,
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

/// Begins a run of webhooks; every member of the plan has a default.
async fn send(
    State(partners): Shared,
    Object(plan): Object<Plan>,
) -> Result<(StatusCode, Json<Report>), SendError> {
    Ok((StatusCode::ACCEPTED, Json(partners.send(plan)?)))
}

async fn report(State(partners): Shared) -> Result<Json<Report>, StatusCode> {
    partners.report().map(Json).ok_or(StatusCode::NOT_FOUND)
}
