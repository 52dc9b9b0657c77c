//! Counts, times, traces and logs requests, under the names of OpenTelemetry's
//! [HTTP metrics](https://opentelemetry.io/docs/specs/semconv/http/http-metrics/). By hand: tower-http's metrics have no
//! routes and no durations (<https://github.com/tower-rs/tower-http/issues/57>).
//!
//! A request is logged only if it fails. A 503 is not: the service protects itself just when it has no time for
//! a line each.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{Method, Response};
use farmlokal_telemetry::request_id;
use metrics::{Histogram, Label, Unit, describe_histogram, histogram};
use tower::{Layer, Service};
use tower_http::request_id::RequestId;
use tracing::{Instrument as _, Span, debug, warn};

use super::span::{self, CLIENT_CLOSED_REQUEST, OTHER};
use crate::problem::Code;
use crate::query::rounded;

const DURATION: &str = "http_server_request_duration_seconds";

/// Measures every request. Its services must be those of a router, which says what route a request has.
#[derive(Clone)]
pub(crate) struct ObserveLayer {
    /// The histogram of the most frequent outcome, a GET with 200, by route: to look one up costs more than to record.
    usual: Arc<HashMap<String, OnceLock<Histogram>>>,
}

impl ObserveLayer {
    /// Keeps the histograms of these routes at hand.
    pub(crate) fn new(routes: impl IntoIterator<Item = String>) -> ObserveLayer {
        describe_histogram!(
            DURATION,
            Unit::Seconds,
            "Requests and their time, by route, method and status; errors of ours by the code of their problem too"
        );
        ObserveLayer { usual: Arc::new(routes.into_iter().map(|route| (route, OnceLock::new())).collect()) }
    }

    fn histogram(&self, route: &str, method: &Method, status: u16, error: Option<Code>) -> Histogram {
        let look_up = || {
            let mut labels = vec![
                Label::new("http_route", route.to_owned()),
                Label::from_static_parts("http_request_method", span::method_name(method).unwrap_or(OTHER)),
                Label::new("http_response_status_code", status.to_string()),
            ];
            let name = |code: Code| Label::from_static_parts("error_type", code.documentation().name);
            labels.extend(error.map(name));
            histogram!(DURATION, labels)
        };
        let usual = if status == 200 && method == Method::GET { self.usual.get(route) } else { None };
        usual.map_or_else(look_up, |usual| usual.get_or_init(look_up).clone())
    }
}

impl<S> Layer<S> for ObserveLayer {
    type Service = Observe<S>;

    fn layer(&self, inner: S) -> Observe<S> {
        Observe { inner, layer: self.clone() }
    }
}

/// See [`ObserveLayer`].
#[derive(Clone)]
pub(crate) struct Observe<S> {
    inner: S,
    layer: ObserveLayer,
}

impl<S, B> Service<Request> for Observe<S>
where
    S: Service<Request, Response = Response<B>, Future: Send + 'static>,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<B>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let route = request.extensions().get::<MatchedPath>().cloned();
        let id = request.extensions().get::<RequestId>().map(|id| id.header_value().clone());
        let span = span::of_request(&request, route.as_ref().map(MatchedPath::as_str));
        let mut observation = Observation {
            layer: self.layer.clone(),
            route,
            span: span.clone(),
            method: request.method().clone(),
            started: Instant::now(),
            answered: false,
        };
        let answer = self.inner.call(request).instrument(span);
        Box::pin(request_id::scope(id, async move {
            let response = answer.await?;
            observation.record(response.status().as_u16(), response.extensions().get().copied());
            Ok(response)
        }))
    }
}

/// One request under observation. One that is dropped without an answer has lost its client, and that is recorded too.
struct Observation {
    layer: ObserveLayer,
    route: Option<MatchedPath>,
    span: Span,
    method: Method,
    started: Instant,
    answered: bool,
}

impl Observation {
    fn record(&mut self, status: u16, error: Option<Code>) {
        self.answered = true;
        let _entered = self.span.enter();
        span::record(&self.span, status);
        let elapsed = self.started.elapsed();
        let (method, route) = (&self.method, self.route.as_ref().map_or(OTHER, MatchedPath::as_str));
        self.layer.histogram(route, method, status, error).record(elapsed.as_secs_f64());
        if status >= 500 && status != 503 {
            let elapsed_ms = rounded(elapsed.as_secs_f64() * 1e3);
            warn!(%method, route, status, elapsed_ms, "request");
        } else {
            debug!(%method, route, status, ?elapsed, "request");
        }
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        if !self.answered {
            self.record(CLIENT_CLOSED_REQUEST, None);
        }
    }
}
