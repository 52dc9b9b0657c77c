//! The whole stack that a request passes, in order. Each layer is here because every route needs it; what only some
//! routes need (compression of documents, say) is on those routes.
//!
//! None of them boxes a future, allocates a timer or looks a metric up for a request that is answered at once:
//! `loadtest/README.md` lists what each one costs.

mod admission;
mod apart;
mod body;
mod catch_panic;
mod closing;
mod deadline;
mod observe;
mod rate_limit;
mod request_id;
mod span;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use axum::extract::Request;
use axum::response::Response;
use tower::{Service, ServiceBuilder};

pub use admission::{AdmissionLayer, InFlight};
pub use apart::Apart;
pub use body::{BodyLayer, BodyLimits};
pub use catch_panic::CatchPanicLayer;
pub use closing::ClosingLayer;
pub use deadline::DeadlineLayer;
pub use observe::{ObserveLayer, RouteTable};
pub use rate_limit::RateLimitLayer;
pub use request_id::RequestIdLayer;

use crate::rate_limit::RateLimits;
use crate::server::Connection;

/// What the stack is told by the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Requests in flight at the most.
    pub max_requests: usize,
    /// Time until a request is answered with 503.
    pub request_timeout: Duration,
    /// Bounds on its body.
    pub body: BodyLimits,
}

/// The layers, made once; each connection gets services of its own that share them.
#[derive(Clone)]
pub struct Stack {
    closing: ClosingLayer,
    request_id: RequestIdLayer,
    observe: ObserveLayer,
    rate_limits: Option<Arc<RateLimits>>,
    admission: AdmissionLayer,
    body: BodyLayer,
    deadline: DeadlineLayer,
}

impl Stack {
    /// A stack without rate limits; `in_flight` counts the requests that it lets in.
    #[must_use]
    pub fn new(table: RouteTable, limits: Limits, in_flight: InFlight) -> Stack {
        Stack {
            closing: ClosingLayer::default(),
            request_id: RequestIdLayer::default(),
            observe: ObserveLayer::new(table),
            rate_limits: None,
            admission: AdmissionLayer::new(limits.max_requests, in_flight),
            body: BodyLayer::new(limits.body),
            deadline: DeadlineLayer::new(limits.request_timeout),
        }
    }

    /// The same with connections that are closed with their next answer once `draining` is true.
    #[must_use]
    pub fn closing(self, draining: Arc<AtomicBool>) -> Stack {
        Stack { closing: ClosingLayer(draining), ..self }
    }

    /// The same with rate limits.
    #[must_use]
    pub fn limited_by(self, limits: Arc<RateLimits>) -> Stack {
        Stack { rate_limits: Some(limits), ..self }
    }

    /// Wraps `routes` in the whole stack for one connection, outermost layer first.
    pub fn around<S>(
        &self,
        routes: S,
        connection: Connection,
    ) -> impl Service<Request, Response = Response, Error = Infallible, Future: Send>
    + Clone
    + Send
    + 'static
    + use<S>
    where
        S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static,
    {
        let stack = self.clone();
        let peer = connection.peer.ip();
        ServiceBuilder::new()
            // No client sends its next request just as a connection is closed.
            .layer(stack.closing)
            // Every answer carries the id, and every line that the layers below log.
            .layer(stack.request_id)
            // Counts, times and traces everything that follows, and logs what fails.
            .layer(stack.observe)
            // One client too many of whose requests are here takes nobody's place: before all that costs something, and
            // before the bound on all, so that a 429 says whose fault it is where a 503 cannot.
            .option_layer(stack.rate_limits.map(|limits| RateLimitLayer::new(limits, peer)))
            // A panic is one failed request, not a lost connection.
            .layer(CatchPanicLayer)
            // A slow sender holds no place among the requests that are answered.
            .layer(stack.body)
            // Turns requests away before they cost anything.
            .layer(if connection.crowded { stack.admission.closed() } else { stack.admission })
            // No request waits longer than a client would.
            .layer(stack.deadline)
            .service(routes)
    }
}
