//! `/control`: switches faults and tells what happened. Only the sandbox has it, no partner.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{delete, get, post};
use axum::{Json, Router};

use crate::faults::{FaultChange, Faults};
use crate::journal::{Counters, Seen};
use crate::partners::Partners;

pub(crate) fn routes() -> Router<Partners> {
    Router::new()
        .route("/control/faults", get(faults).put(change_faults))
        .route("/control/counters", get(counters))
        .route("/control/requests", get(requests))
        .route("/control/tokens", delete(revoke_tokens))
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

async fn reset(State(partners): State<Partners>) -> StatusCode {
    partners.reset();
    StatusCode::NO_CONTENT
}
