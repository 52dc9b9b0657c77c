//! The whole stack that a request passes, in order.

mod observe;
mod request_id;
mod span;

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::error_handling::HandleErrorLayer;
use axum::http::header::CONNECTION;
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Response};
use farmlokal_http_server::{InvalidHost, require_host};
use farmlokal_rate_limit::{RateLimits, limit};
use tokio::sync::Semaphore;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::timeout::error::Elapsed;
use tower::{BoxError, ServiceBuilder};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::request_id::{PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::set_header::SetResponseHeaderLayer;

pub(crate) use self::observe::ObserveLayer;
use self::request_id::{Ids, without_unusable_id};
use crate::problem::{Code, Problem};

/// Header fields that scripts of other origins may send and read, beside those that all may.
const ALLOWED: [&str; 9] = [
    "authorization",
    "content-type",
    "idempotency-key",
    "if-match",
    "if-none-match",
    "prefer",
    "traceparent",
    "tracestate",
    "x-request-id",
];
const EXPOSED: [&str; 12] = [
    "age",
    "cache-status",
    "content-location",
    "etag",
    "link",
    "location",
    "preference-applied",
    "ratelimit",
    "ratelimit-policy",
    "retry-after",
    "www-authenticate",
    "x-request-id",
];
const METHODS: [Method; 6] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
/// For so long browsers may keep the answer to a preflight; Chromium takes no more.
const PREFLIGHT_MAX_AGE: Duration = Duration::from_secs(7_200);

/// What the stack is made from. The operators' routes have neither `cors` nor `rate_limits`, and permits of their own, so
/// that probes and scrapes are answered when the API is full.
#[derive(Clone)]
pub(crate) struct Stack {
    pub(crate) draining: Arc<AtomicBool>,
    pub(crate) observe: ObserveLayer,
    pub(crate) cors: Option<CorsLayer>,
    pub(crate) rate_limits: Option<Arc<RateLimits>>,
    pub(crate) in_flight: InFlight,
    pub(crate) request_timeout: Duration,
}

impl Stack {
    /// Puts the stack around all routes of `router` and its fallback, outermost layer first.
    pub(crate) fn around(&self, router: Router) -> Router {
        let draining = Arc::clone(&self.draining);
        let close = move |_: &_| draining.load(Ordering::Relaxed).then(|| HeaderValue::from_static("close"));
        let layers = ServiceBuilder::new()
            // While the process drains, no client sends its next request just as the connection is closed.
            .layer(SetResponseHeaderLayer::overriding(CONNECTION, close))
            // Every answer carries the request's id, and every line that is logged for it.
            .map_request(without_unusable_id)
            .layer(SetRequestIdLayer::x_request_id(Ids::default()))
            .layer(PropagateRequestIdLayer::x_request_id())
            // Counts, times and traces all that follows, and logs what fails.
            .layer(self.observe.clone())
            // A panic is one failed request, not a lost connection.
            .layer(CatchPanicLayer::custom(panicked))
            // Before the limits: scripts have to see a 429, and a preflight costs nothing.
            .option_layer(self.cors.clone())
            // Before the limit on all requests: a client that asks too much takes no permit from others.
            .option_layer(self.rate_limits.clone().map(|limits| from_fn_with_state(limits, limit)))
            .layer(HandleErrorLayer::new(answer_refusal))
            // HTTP demands it, and hyper does not.
            .filter(require_host::<Body>)
            // Refuses requests beyond those that can be answered at once, instead of queueing them.
            .load_shed()
            .layer(GlobalConcurrencyLimitLayer::with_semaphore(Arc::clone(&self.in_flight.permits)))
            // No request takes longer than a client would wait. It makes a timer for those only that have to wait at all.
            .timeout(self.request_timeout);
        router.layer(layers)
    }
}

/// The permits of requests in flight. Clones share them.
#[derive(Clone)]
pub(crate) struct InFlight {
    permits: Arc<Semaphore>,
    max: usize,
}

impl InFlight {
    /// Lets so many requests in at a time.
    pub(crate) fn new(max: usize) -> InFlight {
        InFlight { permits: Arc::new(Semaphore::new(max)), max }
    }

    /// The count now.
    pub(crate) fn count(&self) -> usize {
        self.max - self.permits.available_permits()
    }
}

/// Scripts of these origins may use the API; `None` if there are none. They have no right of their own: whoever writes
/// has a token.
pub(crate) fn cors(origins: &[HeaderValue]) -> Option<CorsLayer> {
    let allowed = match origins {
        [] => return None,
        origins if origins.iter().any(|origin| origin == "*") => AllowOrigin::any(),
        origins => AllowOrigin::list(origins.iter().cloned()),
    };
    let layer = CorsLayer::new().allow_origin(allowed).allow_methods(METHODS);
    let layer = layer.allow_headers(ALLOWED.map(HeaderName::from_static));
    Some(layer.expose_headers(EXPOSED.map(HeaderName::from_static)).max_age(PREFLIGHT_MAX_AGE))
}

pub(crate) fn overloaded() -> Response {
    let problem = Problem::new(Code::Overloaded, "The service answers as many requests as it can.");
    problem.retry_after(Duration::from_secs(1)).into_response()
}

/// The answers for errors of `filter`, `load_shed` and `timeout`.
async fn answer_refusal(error: BoxError) -> Response {
    if let Some(InvalidHost(reason)) = error.downcast_ref() {
        return Problem::new(Code::InvalidHost, *reason).into_response();
    }
    if !error.is::<Elapsed>() {
        return overloaded();
    }
    let problem = Problem::new(Code::TimedOut, "The request reached its deadline.");
    problem.retry_after(Duration::from_secs(1)).into_response()
}

/// The panic hook has logged it.
fn panicked(_panic: Box<dyn Any + Send>) -> Response {
    Problem::new(Code::Internal, "The handler failed.").into_response()
}

#[cfg(test)]
mod tests {
    use axum::extract::Request;
    use axum::routing::get;
    use tower::ServiceExt as _;

    use super::*;

    fn stack(max_requests: usize) -> Stack {
        Stack {
            draining: Arc::default(),
            observe: ObserveLayer::new([]),
            cors: None,
            rate_limits: None,
            in_flight: InFlight::new(max_requests),
            request_timeout: Duration::from_secs(5),
        }
    }

    fn request(path: &str) -> Request {
        Request::get(path).header("host", "x").body(Body::empty()).unwrap()
    }

    /// The status and the problem's code.
    async fn ask(router: &Router, path: &str) -> (u16, String) {
        let response = router.clone().oneshot(request(path)).await.unwrap();
        assert!(response.headers().contains_key("x-request-id"));
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        let code = serde_json::from_slice(&body).unwrap_or(serde_json::Value::Null)["code"].take();
        (status, code.as_str().unwrap_or_default().to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn what_hangs_or_panics_is_a_problem() {
        let router = Router::new()
            .route("/ok", get(async || "ok"))
            .route("/hangs", get(async || std::future::pending::<()>().await))
            .route("/panics", get(async || -> &str { panic!("by design") }));
        let stack = stack(1);
        let router = stack.around(router);
        assert_eq!(ask(&router, "/hangs").await, (503, "timed_out".into()));
        assert_eq!(ask(&router, "/panics").await, (500, "internal".into()));
        assert_eq!(ask(&router, "/ok").await.0, 200);
        assert_eq!(stack.in_flight.count(), 0);
    }

    #[tokio::test]
    async fn a_request_beyond_the_limit_is_refused_and_a_permit_given_back_is_free() {
        let stack = stack(1);
        let router = stack.around(
            Router::new().route("/ok", get(async || "ok")).route("/hangs", get(std::future::pending::<()>)),
        );
        let held = tokio::spawn(router.clone().oneshot(request("/hangs")));
        while stack.in_flight.count() == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(ask(&router, "/ok").await, (503, "overloaded".into()));
        // All paths share the permits.
        assert_eq!(ask(&router, "/nowhere").await, (503, "overloaded".into()));
        held.abort();
        assert!(held.await.is_err());
        assert_eq!(ask(&router, "/ok").await.0, 200);
    }
}
