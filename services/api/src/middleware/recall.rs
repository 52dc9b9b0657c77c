//! Answers from memory what was asked a moment ago: such a request needs no route, no place among those in flight and no
//! deadline. This is the hot path.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::Response;
use pin_project_lite::pin_project;
use tower::{Layer, Service};

/// What answers from memory.
pub trait Memory: Send + Sync + 'static {
    /// The answer to a GET of this URI with these headers, if it is there.
    fn recall(&self, uri: &Uri, headers: &HeaderMap) -> Option<Response>;
}

/// Answers the URIs that a memory has the answers to.
#[derive(Clone)]
pub struct RecallLayer(Arc<dyn Memory>);

impl RecallLayer {
    /// Asks this memory before anybody else.
    #[must_use]
    pub fn new(memory: Arc<dyn Memory>) -> Self {
        Self(memory)
    }
}

impl<S> Layer<S> for RecallLayer {
    type Service = Recall<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Recall { inner, memory: Arc::clone(&self.0) }
    }
}

/// See [`RecallLayer`].
#[derive(Clone)]
pub struct Recall<S> {
    inner: S,
    memory: Arc<dyn Memory>,
}

impl<S: Service<Request, Response = Response>> Service<Request> for Recall<S> {
    type Response = Response;
    type Error = S::Error;
    type Future = RecallFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if request.method() == Method::GET
            && let Some(response) = self.memory.recall(request.uri(), request.headers())
        {
            return RecallFuture::Recalled { response: Some(response) };
        }
        RecallFuture::Asked { inner: self.inner.call(request) }
    }
}

pin_project! {
    /// See [`RecallLayer`].
    #[project = Projection]
    pub enum RecallFuture<F> {
        Recalled { response: Option<Response> },
        Asked { #[pin] inner: F },
    }
}

impl<F: Future<Output = Result<Response, E>>, E> Future for RecallFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            // Polled again after its end, which no caller does, it stays pending.
            Projection::Recalled { response } => {
                response.take().map_or(Poll::Pending, |response| Poll::Ready(Ok(response)))
            }
            Projection::Asked { inner } => inner.poll(context),
        }
    }
}
