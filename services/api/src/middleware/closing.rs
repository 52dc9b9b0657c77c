//! `Connection: close` on every answer of a process that drains: clients go elsewhere with their next request while this
//! process still serves, instead of sending it just as the connection is closed.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use axum::response::Response;
use pin_project_lite::pin_project;
use tower::{Layer, Service};

/// Closes connections with their next answer once the flag is true.
#[derive(Clone, Default)]
pub struct ClosingLayer(pub Arc<AtomicBool>);

impl<S> Layer<S> for ClosingLayer {
    type Service = Closing<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Closing { inner, draining: Arc::clone(&self.0) }
    }
}

/// See [`ClosingLayer`].
#[derive(Clone)]
pub struct Closing<S> {
    inner: S,
    draining: Arc<AtomicBool>,
}

impl<S: Service<Request, Response = Response>> Service<Request> for Closing<S> {
    type Response = Response;
    type Error = S::Error;
    type Future = ClosingFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        ClosingFuture { inner: self.inner.call(request), close: self.draining.load(Ordering::Relaxed) }
    }
}

pin_project! {
    /// See [`ClosingLayer`].
    pub struct ClosingFuture<F> {
        #[pin]
        inner: F,
        close: bool,
    }
}

impl<F: Future<Output = Result<Response, E>>, E> Future for ClosingFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.inner.poll(context))?;
        if *this.close {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Poll::Ready(Ok(response))
    }
}
