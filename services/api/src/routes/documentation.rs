//! `/openapi.json`, `/docs` and `/problems`: the API explains itself, without internet.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::header::VARY;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use axum::routing::get;
use farmlokal_auth::AuthConfig;
use tokio::sync::Mutex;
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::{Config, SwaggerUi, oauth};
use xxhash_rust::xxh3::xxh3_128;

use super::not_found;
use crate::encoding::{Compressible, Encoding};
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
    for row in PROBLEMS {
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

/// Serves this document and the pages that explain it; those ask for tokens as `auth` says.
pub(crate) fn router(document: OpenApi, auth: &AuthConfig) -> Router {
    let configuration = Config::from("/openapi.json")
        .try_it_out_enabled(true)
        .display_request_duration(true)
        // The validator badge would ask a server on the internet.
        .validator_url("none");
    let mut page = SwaggerUi::new("/docs").url("/openapi.json", document).config(configuration);
    if auth.token_url().is_some() {
        let mut client = oauth::Config::new().scopes(vec![auth.scope().to_owned()]);
        if let Some(audience) = auth.audience() {
            client =
                client.additional_query_string_params(HashMap::from([("audience".into(), audience.into())]));
        }
        page = page.oauth(client);
    }
    Router::new()
        .merge(page)
        .route("/problems", get(async || Html(problems_page())))
        .route("/", get(async || Redirect::temporary("/docs")))
        .layer(from_fn_with_state(Documents::default(), compressed_once))
}

/// The documents served so far, by their hashes. There are a dozen, and none changes while the process lives.
type Documents = Arc<Mutex<HashMap<u128, Arc<Compressible>>>>;

/// Compresses a document when the first client asks for it so.
async fn compressed_once(State(documents): State<Documents>, request: Request, next: Next) -> Response {
    let accepted = Encoding::negotiate(request.headers());
    let (mut parts, body) = next.run(request).await.into_parts();
    if parts.status == StatusCode::NOT_FOUND {
        return not_found().into_response();
    }
    // It is in memory: reading it does not fail.
    let plain = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let new = Arc::new(Compressible { plain, ..Default::default() });
    let document = Arc::clone(documents.lock().await.entry(xxh3_128(&new.plain)).or_insert(new));
    parts.headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    let (body, _) = document.encoded(accepted, &mut parts.headers).await;
    Response::from_parts(parts, body)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
    use clap::Parser as _;
    use tower::ServiceExt as _;

    use super::*;

    #[test]
    fn a_document_is_compressed_once_and_on_another_thread() {
        let (runtime, started) = crate::encoding::tests::one_thread();
        runtime.block_on(each_is_compressed_once());
        assert_ne!(
            started.load(std::sync::atomic::Ordering::SeqCst),
            0,
            "threads beside that of the request"
        );
    }

    async fn each_is_compressed_once() {
        let auth = crate::config::Cli::parse_from(["farmlokal-api"]).serve.auth;
        let router = router(crate::openapi::document(&auth), &auth);
        let get = async |path: &str, coding| {
            let request = Request::get(path).header(ACCEPT_ENCODING, coding).body(Body::empty()).unwrap();
            let response = router.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), 200);
            let coding = response.headers().get(CONTENT_ENCODING).cloned();
            (to_bytes(response.into_body(), usize::MAX).await.unwrap(), coding)
        };
        for path in ["/openapi.json", "/docs/swagger-ui-bundle.js"] {
            let (one, coding) = get(path, "zstd").await;
            assert_eq!(coding.unwrap(), "zstd", "{path}");
            let (plain, coding) = get(path, "identity").await;
            assert!(coding.is_none() && one.len() < plain.len(), "{path}");
            let (two, _) = get(path, "zstd").await;
            assert_eq!(one.as_ptr(), two.as_ptr(), "{path} was compressed twice");
        }
    }
}
