//! `/openapi.json`, `/docs` and `/problems`: the API explains itself, without internet.

use std::fmt::Write as _;

use axum::Router;
use axum::response::{Html, Redirect};
use axum::routing::get;
use tower_http::compression::CompressionLayer;
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::problem::PROBLEMS;

/// The table of problems as a page; the `type` of every problem points into it.
fn problems_page() -> String {
    let mut page = String::from(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>FarmLokal: problems</title>\
         <style>body{font:16px/1.5 system-ui,sans-serif;max-width:48rem;margin:2rem auto;padding:0 1rem}\
         code{background:#8881;padding:.1em .3em}:target{outline:2px solid;outline-offset:.5rem}</style>\
         <h1>Problems</h1><p>Errors are <code>application/problem+json</code> (RFC 9457). \
         <code>code</code> is one of these and stays as it is; texts may change.</p>",
    );
    for row in &PROBLEMS {
        // Writing to a string cannot fail.
        let _ = write!(
            page,
            "<section id=\"{name}\"><h2><code>{name}</code> ({status})</h2><p><b>{title}.</b> {meaning}</p></section>",
            name = row.name,
            status = row.status.as_u16(),
            title = row.title,
            meaning = row.meaning
        );
    }
    page
}

/// Serves this document and the pages that explain it.
pub(crate) fn router(document: OpenApi) -> Router {
    let configuration = Config::from("/openapi.json")
        .try_it_out_enabled(true)
        .display_request_duration(true)
        // The validator badge would ask a server on the internet.
        .validator_url("none");
    Router::new()
        .merge(SwaggerUi::new("/docs").url("/openapi.json", document).config(configuration))
        .route("/problems", get(async || Html(problems_page())))
        .route("/", get(async || Redirect::temporary("/docs")))
        .layer(CompressionLayer::new())
}
