//! Counts, times, traces and logs requests, under the names of OpenTelemetry's
//! [HTTP metrics](https://opentelemetry.io/docs/specs/semconv/http/http-metrics/).
//!
//! A request is a metric, not a log line, unless it fails or drags: then it is a line with its request id. A 503 is the
//! service protecting itself, just when it has no time for a line each.

use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::http::Method;
use axum::response::Response;
use metrics::{Histogram, Label, Unit, describe_histogram, histogram};
use pin_project_lite::pin_project;
use tower::{Layer, Service};
use tracing::instrument::{Instrument as _, Instrumented};
use tracing::{Span, debug, warn};

use super::span;
use crate::problem::ErrorType;

/// A slower answer is logged.
const SLOW: Duration = Duration::from_millis(500);
/// The status of a request whose client went away, as nginx counts it.
pub(super) const CLIENT_CLOSED_REQUEST: u16 = 499;
/// The label of paths without a route: unbounded labels would be a leak.
const OTHER: &str = "_OTHER";

const DURATION: &str = "http_server_request_duration_seconds";

/// The routes whose requests are told apart in metrics, each with its handles.
#[derive(Clone)]
pub struct RouteTable(Arc<Routes>);

struct Routes {
    by_path: matchit::Router<usize>,
    /// The first is that of paths without a route.
    metrics: Vec<RouteMetrics>,
}

struct RouteMetrics {
    route: String,
    get: ByStatus,
    head: ByStatus,
    post: ByStatus,
    other: ByStatus,
}

/// The histogram of each status from 100 to 599, looked up in the registry once.
struct ByStatus {
    method: &'static str,
    handles: Box<[OnceLock<Histogram>; 500]>,
}

impl RouteTable {
    /// A table of these path templates; all other paths share one label. Needs the metrics recorder to be installed.
    pub fn new<'a>(templates: impl IntoIterator<Item = &'a str>) -> Self {
        describe_histogram!(
            DURATION,
            Unit::Seconds,
            "Requests and their time, by route, method and status; errors of ours by the code of their problem too"
        );
        let mut by_path = matchit::Router::new();
        let mut metrics = vec![RouteMetrics::new(OTHER)];
        for template in templates {
            match by_path.insert(template, metrics.len()) {
                Ok(()) => metrics.push(RouteMetrics::new(template)),
                Err(error) => warn!(template, %error, "a route without metrics of its own"),
            }
        }
        Self(Arc::new(Routes { by_path, metrics }))
    }
}

impl Routes {
    fn of(&self, path: &str) -> usize {
        self.by_path.at(path).map_or(0, |found| *found.value)
    }
}

impl RouteMetrics {
    fn new(route: &str) -> Self {
        let by_status = |method| ByStatus { method, handles: Box::new([const { OnceLock::new() }; 500]) };
        Self {
            route: route.to_owned(),
            get: by_status("GET"),
            head: by_status("HEAD"),
            post: by_status("POST"),
            other: by_status(OTHER),
        }
    }

    fn record(&self, method: &Method, status: u16, error: Option<ErrorType>, seconds: f64) {
        let by_status = match *method {
            Method::GET => &self.get,
            Method::HEAD => &self.head,
            Method::POST => &self.post,
            _ => &self.other,
        };
        if let Some(ErrorType(error)) = error {
            return self.histogram(by_status.method, status, Some(error)).record(seconds);
        }
        let slot = usize::from(status.clamp(100, 599)) - 100;
        by_status.handles[slot]
            .get_or_init(|| self.histogram(by_status.method, status, None))
            .record(seconds);
    }

    fn histogram(&self, method: &'static str, status: u16, error: Option<&'static str>) -> Histogram {
        let mut labels = vec![
            Label::new("http_route", self.route.clone()),
            Label::from_static_parts("http_request_method", method),
            Label::new("http_response_status_code", status.to_string()),
        ];
        labels.extend(error.map(|error| Label::from_static_parts("error_type", error)));
        histogram!(DURATION, labels)
    }
}

/// Measures every request.
#[derive(Clone)]
pub struct ObserveLayer(RouteTable);

impl ObserveLayer {
    /// Tells routes apart by this table.
    #[must_use]
    pub fn new(table: RouteTable) -> Self {
        Self(table)
    }
}

impl<S> Layer<S> for ObserveLayer {
    type Service = Observe<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Observe { inner, table: self.0.clone() }
    }
}

/// See [`ObserveLayer`].
#[derive(Clone)]
pub struct Observe<S> {
    inner: S,
    table: RouteTable,
}

impl<S: Service<Request, Response = Response>> Service<Request> for Observe<S> {
    type Response = Response;
    type Error = S::Error;
    type Future = ObserveFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let routes = Arc::clone(&self.table.0);
        let route = routes.of(request.uri().path());
        let span = span::of_request(&request, (route > 0).then(|| routes.metrics[route].route.as_str()));
        let observation = Observation {
            route,
            routes,
            span: span.clone(),
            method: request.method().clone(),
            started: Instant::now(),
            answered: false,
        };
        // What is answered at once, is answered here.
        let inner = span.in_scope(|| self.inner.call(request));
        ObserveFuture { inner: inner.instrument(span), observation }
    }
}

/// One request under observation. One that is dropped without an answer has lost its client, and that is recorded too.
struct Observation {
    routes: Arc<Routes>,
    route: usize,
    span: Span,
    method: Method,
    started: Instant,
    answered: bool,
}

impl Observation {
    fn record(&mut self, status: u16, error: Option<ErrorType>) {
        self.answered = true;
        let _entered = self.span.enter();
        span::record(&self.span, status);
        let elapsed = self.started.elapsed();
        let route = &self.routes.metrics[self.route];
        route.record(&self.method, status, error, elapsed.as_secs_f64());
        if status != 503 && (status >= 500 || elapsed > SLOW) {
            let elapsed_ms = elapsed.as_secs_f64() * 1e3;
            warn!(method = %self.method, route = route.route, status, elapsed_ms, "request");
        } else {
            debug!(method = %self.method, route = route.route, status, ?elapsed, "request");
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

pin_project! {
    /// See [`ObserveLayer`].
    pub struct ObserveFuture<F> {
        #[pin]
        inner: Instrumented<F>,
        observation: Observation,
    }
}

impl<F: Future<Output = Result<Response, E>>, E> Future for ObserveFuture<F> {
    type Output = F::Output;

    fn poll(self: std::pin::Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.inner.poll(context))?;
        let error = response.extensions().get().copied();
        this.observation.record(response.status().as_u16(), error);
        Poll::Ready(Ok(response))
    }
}
