//! Operators' routes beside the API's on one port, each with a stack of its own: probes and scrapes are never limited, and
//! get in when the API is full.

use std::convert::Infallible;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::response::Response;
use tokio_util::either::Either;
use tower::Service;

/// Sends the requests for some paths to one service and all others to another.
#[derive(Clone)]
pub struct Apart<O, A> {
    paths: &'static [&'static str],
    operators: O,
    api: A,
}

impl<O, A> Apart<O, A> {
    /// Sends requests for these paths to `operators`, all others to `api`. Both must always be ready.
    #[must_use]
    pub fn new(paths: &'static [&'static str], operators: O, api: A) -> Self {
        Self { paths, operators, api }
    }
}

impl<O, A> Service<Request> for Apart<O, A>
where
    O: Service<Request, Response = Response, Error = Infallible>,
    A: Service<Request, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<O::Future, A::Future>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if self.paths.contains(&request.uri().path()) {
            Either::Left(self.operators.call(request))
        } else {
            Either::Right(self.api.call(request))
        }
    }
}
