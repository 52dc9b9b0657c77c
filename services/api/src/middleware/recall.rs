//! Answers from memory what was asked a moment ago: such a request needs no route, no place among those in flight and no
//! deadline. This is the hot path.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::http::Method;
use axum::response::Response;
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use crate::app::App;

/// Answers the URIs that the in-process layer of the cache remembers.
#[derive(Clone)]
pub(crate) struct RecallLayer(Arc<App>);

impl RecallLayer {
    pub(crate) fn new(app: Arc<App>) -> Self {
        Self(app)
    }
}

impl<S> Layer<S> for RecallLayer {
    type Service = Recall<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Recall { inner, app: Arc::clone(&self.0) }
    }
}

/// See [`RecallLayer`].
#[derive(Clone)]
pub(crate) struct Recall<S> {
    inner: S,
    app: Arc<App>,
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
            && let Some(response) = self.app.recall(request.uri(), request.headers())
        {
            return RecallFuture::Recalled { response: Some(response) };
        }
        RecallFuture::Asked { inner: self.inner.call(request) }
    }
}

pin_project! {
    /// See [`RecallLayer`].
    #[project = Projection]
    pub(crate) enum RecallFuture<F> {
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
