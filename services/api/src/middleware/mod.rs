//! The whole stack that a request passes, in order. Each layer is here because every route needs it; what only some
//! routes need (compression of documents, say) is on those routes.
//!
//! None of them boxes a future, allocates a timer or looks a metric up for a request that is answered at once:
//! `loadtest/README.md` lists what each one costs.

mod admission;
mod catch_panic;
mod deadline;
mod observe;
mod request_id;
mod span;

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::Request;
use axum::response::Response;
use tower::{Service, ServiceBuilder};

pub use admission::{AdmissionLayer, InFlight};
pub use catch_panic::CatchPanicLayer;
pub use deadline::DeadlineLayer;
pub use observe::{ObserveLayer, RouteTable};
pub use request_id::RequestIdLayer;

/// What the stack is told by the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Requests in flight at the most.
    pub max_requests: usize,
    /// Time until a request is answered with 503.
    pub request_timeout: Duration,
}

/// Wraps `routes` in the whole stack, outermost layer first; `in_flight` counts the requests that it lets in.
pub fn stack<S>(
    routes: S,
    table: RouteTable,
    limits: Limits,
    in_flight: InFlight,
) -> impl Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static
where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    ServiceBuilder::new()
        // Every answer carries the id, and every line that the layers below log.
        .layer(RequestIdLayer::default())
        // Counts, times and traces everything that follows, and logs what fails.
        .layer(ObserveLayer::new(table))
        // Turns requests away before they cost anything.
        .layer(AdmissionLayer::new(limits.max_requests, in_flight))
        // A panic is one failed request, not a lost connection.
        .layer(CatchPanicLayer)
        // No request waits longer than a client would.
        .layer(DeadlineLayer::new(limits.request_timeout))
        .service(routes)
}
