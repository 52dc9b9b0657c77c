//! Operators' routes beside the API's on one port, each with a stack of its own: probes and scrapes are never limited, and
//! get in when the API is full.

use std::convert::Infallible;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::response::Response;
use pin_project_lite::pin_project;
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
    type Future = ApartFuture<O::Future, A::Future>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if self.paths.contains(&request.uri().path()) {
            ApartFuture::Operators { inner: self.operators.call(request) }
        } else {
            ApartFuture::Api { inner: self.api.call(request) }
        }
    }
}

pin_project! {
    /// See [`Apart`].
    #[project = Projection]
    pub enum ApartFuture<O, A> {
        Operators { #[pin] inner: O },
        Api { #[pin] inner: A },
    }
}

impl<O, A> Future for ApartFuture<O, A>
where
    O: Future<Output = Result<Response, Infallible>>,
    A: Future<Output = Result<Response, Infallible>>,
{
    type Output = Result<Response, Infallible>;

    fn poll(self: std::pin::Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            Projection::Operators { inner } => inner.poll(context),
            Projection::Api { inner } => inner.poll(context),
        }
    }
}
