//! `/control`: switches faults and tells what happened. Only the sandbox has it, no partner.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde_json::Value;

use crate::api_b::{Plan, Report, SendError};
use crate::faults::Fault;
use crate::issuer::Rotation;
use crate::journal::{Faults, PerEndpoint};
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
        .route("/control/keys", post(rotate))
        .route("/control/webhooks", get(report).post(send).delete(stop))
        .route("/control/reset", post(async |State(partners): Shared| partners.reset()))
}

/// New faults for the endpoints that it names; the others keep theirs.
async fn change_faults(
    State(partners): Shared,
    Json(change): Json<PerEndpoint<Option<Fault>>>,
) -> Json<Faults> {
    let Faults { token, discovery, keys, api_a, api_b } = partners.faults();
    let faults = Faults {
        token: change.token.unwrap_or(token),
        discovery: change.discovery.unwrap_or(discovery),
        keys: change.keys.unwrap_or(keys),
        api_a: change.api_a.unwrap_or(api_a),
        api_b: change.api_b.unwrap_or(api_b),
    };
    partners.set_faults(faults.clone());
    Json(faults)
}

/// A new key for tokens; every member of the rotation has a default.
async fn rotate(State(partners): Shared, Json(rotation): Json<Rotation>) -> Result<Json<Value>, StatusCode> {
    partners.rotate_keys(rotation).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(Json(partners.keys.published()))
}

/// Begins a run of webhooks; every member of the plan has a default.
async fn send(
    State(partners): Shared,
    Json(plan): Json<Plan>,
) -> Result<(StatusCode, Json<Report>), SendError> {
    Ok((StatusCode::ACCEPTED, Json(partners.send(plan)?)))
}

async fn report(State(partners): Shared) -> Result<Json<Report>, StatusCode> {
    partners.report().map(Json).ok_or(StatusCode::NOT_FOUND)
}
