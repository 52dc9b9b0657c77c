//! The endpoints of all partners, each with its faults.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;

use crate::journal::Endpoint;
use crate::partners::Partners;
use crate::{api_a, api_b, control, faults, token};

/// Bytes of a request's body that are read at the most.
const MAX_BODY: usize = 64 * 1024;

pub(crate) fn router(partners: &Partners) -> Router {
    let faulty = |routes: Router<Partners>, endpoint| {
        routes.route_layer(from_fn_with_state((partners.clone(), endpoint), faults::meet))
    };
    faulty(token::routes(), Endpoint::Token)
        .merge(faulty(api_a::routes(), Endpoint::ApiA))
        .merge(faulty(api_b::routes(), Endpoint::ApiB))
        .merge(control::routes())
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(partners.clone())
}
