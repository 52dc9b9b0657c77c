//! One file a resource: its representations and its handlers.

mod auth;
mod categories;
pub(crate) mod documentation;
mod external;
pub(crate) mod operations;
mod products;
mod webhook;

use std::sync::Arc;

use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::problem::{Code, Problem};
use crate::writes::Writes;

/// The API's routes with their part of the OpenAPI document.
pub(crate) fn api() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(products::list_products))
        .routes(routes!(products::suggest::suggest))
        .routes(routes!(products::get_product))
        .routes(routes!(categories::list_categories))
        .routes(routes!(auth::test_token))
        .routes(routes!(external::test_api_a))
        .routes(routes!(webhook::receive_event))
}

/// The routes of writes, with their part of the document.
pub(crate) fn writes() -> OpenApiRouter<Arc<Writes>> {
    OpenApiRouter::new()
        .routes(routes!(products::write::create_product))
        .routes(routes!(
            products::write::put_product,
            products::write::patch_product,
            products::write::delete_product
        ))
        .routes(routes!(products::batch::write_batch))
}

/// The operators' routes.
pub(crate) fn operations() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(operations::livez))
        .routes(routes!(operations::readyz))
        .routes(routes!(operations::health))
        .routes(routes!(operations::metrics))
}

/// An answer for whoever asked, and for nobody after: no cache may keep it.
fn not_stored(body: impl Serialize) -> Response {
    ([(CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

fn not_found() -> Problem {
    Problem::new(Code::NotFound, "No such path; /docs describes those there are.")
}

/// Answers what no route takes.
pub(crate) fn with_fallbacks<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    router.fallback(async || not_found()).method_not_allowed_fallback(async || {
        Problem::new(Code::MethodNotAllowed, "This path does not have this method.")
    })
}
