//! The span of a request, by OpenTelemetry's
//! [conventions for HTTP servers](https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server).

use axum::extract::Request;
use axum::http::Method;
use farmlokal_telemetry::{continue_trace, request_id};
use tracing::field::Empty;
use tracing::{Span, info_span};

/// The label of methods and paths that are none of ours: unbounded labels would be a leak.
pub(super) const OTHER: &str = "_OTHER";
/// The status of a request whose client went away, as nginx counts it.
pub(super) const CLIENT_CLOSED_REQUEST: u16 = 499;

/// A span in the client's trace, if the request names one. It holds neither the query nor the client's address: both may be
/// personal data.
pub(super) fn of_request(request: &Request, route: Option<&str>) -> Span {
    let span = info_span!(
        "request",
        otel.kind = "server",
        otel.name = name(request.method(), route),
        otel.status_code = Empty,
        http.request.method = method_name(request.method()).unwrap_or(OTHER),
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
    let method = method_name(method).unwrap_or("HTTP");
    route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}"))
}

/// The method as a label; `None` for methods that the conventions do not list.
pub(super) fn method_name(method: &Method) -> Option<&'static str> {
    const NAMES: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"];
    NAMES.into_iter().find(|name| *name == method.as_str())
}
