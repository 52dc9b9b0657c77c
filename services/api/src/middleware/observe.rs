//! Counts, times, traces and logs requests, under the names of OpenTelemetry's
//! [HTTP metrics](https://opentelemetry.io/docs/specs/semconv/http/http-metrics/).
//!
//! A request is a metric, not a log line, unless it fails or drags: then it is a line with its request id. A 503 is the
//! service protecting itself, just when it has no time for a line each.

use std::sync::OnceLock;
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

use super::span::{self, CLIENT_CLOSED_REQUEST};
use crate::problem::{Code, PROBLEMS};

/// A slower answer is logged.
const SLOW: Duration = Duration::from_millis(500);
/// The label of paths without a route: unbounded labels would be a leak.
const OTHER: &str = "_OTHER";

const DURATION: &str = "http_server_request_duration_seconds";

/// The routes whose requests are told apart in metrics, each with its handles. There is one for as long as a process lives:
/// a reference count would be every core's at once, with each request.
#[derive(Clone, Copy)]
pub struct RouteTable(&'static Routes);

struct Routes {
    by_path: matchit::Router<&'static RouteMetrics>,
    /// Of paths without a route.
    other: &'static RouteMetrics,
}

struct RouteMetrics {
    /// The path's template; none for paths without a route.
    route: Option<String>,
    get: Histograms,
    head: Histograms,
    post: Histograms,
    other: Histograms,
}

/// The histograms of one method, each looked up in the registry once: of every status from 100 to 599, and of every error of
/// ours, which has one status.
struct Histograms {
    method: &'static str,
    by_status: Box<[OnceLock<Histogram>; 500]>,
    by_error: Box<[OnceLock<Histogram>; PROBLEMS.len()]>,
}

impl RouteTable {
    /// A table of these path templates; all other paths share one label. Needs the metrics recorder to be installed. Its memory
    /// is never given back.
    pub fn new<'a>(templates: impl IntoIterator<Item = &'a str>) -> Self {
        describe_histogram!(
            DURATION,
            Unit::Seconds,
            "Requests and their time, by route, method and status; errors of ours by the code of their problem too"
        );
        let mut by_path = matchit::Router::new();
        for template in templates {
            if let Err(error) = by_path.insert(template, RouteMetrics::leaked(Some(template))) {
                warn!(template, %error, "a route without metrics of its own");
            }
        }
        Self(Box::leak(Box::new(Routes { by_path, other: RouteMetrics::leaked(None) })))
    }
}

impl Routes {
    fn of(&self, path: &str) -> &'static RouteMetrics {
        self.by_path.at(path).map_or(self.other, |found| *found.value)
    }
}

impl RouteMetrics {
    fn leaked(route: Option<&str>) -> &'static Self {
        let histograms = |method| Histograms {
            method,
            by_status: Box::new([const { OnceLock::new() }; 500]),
            by_error: Box::new([const { OnceLock::new() }; PROBLEMS.len()]),
        };
        Box::leak(Box::new(Self {
            route: route.map(str::to_owned),
            get: histograms("GET"),
            head: histograms("HEAD"),
            post: histograms("POST"),
            other: histograms(OTHER),
        }))
    }

    fn label(&self) -> &str {
        self.route.as_deref().unwrap_or(OTHER)
    }

    fn record(&'static self, method: &Method, status: u16, error: Option<Code>, seconds: f64) {
        let histograms = match *method {
            Method::GET => &self.get,
            Method::HEAD => &self.head,
            Method::POST => &self.post,
            _ => &self.other,
        };
        let slot = match error {
            Some(code) => &histograms.by_error[code as usize],
            None => &histograms.by_status[usize::from(status.clamp(100, 599)) - 100],
        };
        slot.get_or_init(|| self.histogram(histograms.method, status, error)).record(seconds);
    }

    fn histogram(&'static self, method: &'static str, status: u16, error: Option<Code>) -> Histogram {
        let mut labels = vec![
            Label::from_static_parts("http_route", self.label()),
            Label::from_static_parts("http_request_method", method),
            Label::new("http_response_status_code", status.to_string()),
        ];
        labels.extend(error.map(|code| Label::from_static_parts("error_type", code.documentation().name)));
        histogram!(DURATION, labels)
    }
}

/// Measures every request.
#[derive(Clone, Copy)]
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
        Observe { inner, table: self.0 }
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
        let route = self.table.0.of(request.uri().path());
        let span = span::of_request(&request, route.route.as_deref());
        let observation = Observation {
            route,
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
    route: &'static RouteMetrics,
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
        self.route.record(&self.method, status, error, elapsed.as_secs_f64());
        if status != 503 && (status >= 500 || elapsed > SLOW) {
            let elapsed_ms = elapsed.as_secs_f64() * 1e3;
            warn!(method = %self.method, route = self.route.label(), status, elapsed_ms, "request");
        } else {
            debug!(method = %self.method, route = self.route.label(), status, ?elapsed, "request");
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
