//! The span of a request, by OpenTelemetry's
//! [conventions for HTTP servers](https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server).

use axum::extract::Request;
use axum::http::Method;
use farmlokal_telemetry::{continue_trace, request_id};
use tracing::field::Empty;
use tracing::{Span, info_span};

/// The status of a request whose client went away, as nginx counts it.
pub(super) const CLIENT_CLOSED_REQUEST: u16 = 499;

/// A span that is a part of the client's trace, if it has one. Without the query, and without anything about the client:
/// both may be nobody's business. Costs next to nothing where nothing is traced.
pub(super) fn of_request(request: &Request, route: Option<&str>) -> Span {
    let span = info_span!(
        "request",
        otel.kind = "server",
        otel.name = name(request.method(), route),
        otel.status_code = Empty,
        http.request.method = known(request.method()).unwrap_or("_OTHER"),
        http.response.status_code = Empty,
        http.route = route,
        url.path = request.uri().path(),
        url.scheme = "http",
        farmlokal.request_id = Empty,
        "error.type" = Empty,
    );
    continue_trace(&span, request.headers());
    span
}

/// Tells the span how the request ended. To be called while the request's id is known.
pub(super) fn record(span: &Span, status: u16) {
    if span.is_disabled() {
        return;
    }
    if let Some(id) = request_id::current() {
        span.record("farmlokal.request_id", id.to_str().ok());
    }
    if status == CLIENT_CLOSED_REQUEST {
        span.record("error.type", "client_closed_request");
        return;
    }
    span.record("http.response.status_code", i64::from(status));
    if status >= 500 {
        span.record("error.type", status.to_string());
        span.record("otel.status_code", "ERROR");
    }
}

/// `GET /products/{id}`: few names, whatever clients ask for.
fn name(method: &Method, route: Option<&str>) -> String {
    let method = known(method).unwrap_or("HTTP");
    route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}"))
}

fn known(method: &Method) -> Option<&'static str> {
    const KNOWN: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"];
    KNOWN.into_iter().find(|known| *known == method.as_str())
}
