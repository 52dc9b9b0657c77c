//! Answers at once what needs no route: what was asked a moment ago, and what there is no room for. Such a request needs no
//! place among those in flight and no deadline either. This is the hot path, and the one that has to be short under a flood.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::Response;
use pin_project_lite::pin_project;
use tower::{Layer, Service};

/// What knows answers at once.
pub trait EarlyAnswers: Send + Sync + 'static {
    /// The answer to a GET or HEAD of this URI with these headers, if nobody has to wait for it.
    fn early(&self, uri: &Uri, headers: &HeaderMap) -> Option<Response>;
}

/// Gives the early answers, and asks the service below for all others.
#[derive(Clone)]
pub struct EarlyLayer(Arc<dyn EarlyAnswers>);

impl EarlyLayer {
    /// Asks these answers before anybody else.
    #[must_use]
    pub fn new(answers: Arc<dyn EarlyAnswers>) -> Self {
        Self(answers)
    }
}

impl<S> Layer<S> for EarlyLayer {
    type Service = Early<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Early { inner, answers: Arc::clone(&self.0) }
    }
}

/// See [`EarlyLayer`].
#[derive(Clone)]
pub struct Early<S> {
    inner: S,
    answers: Arc<dyn EarlyAnswers>,
}

impl<S: Service<Request, Response = Response>> Service<Request> for Early<S> {
    type Response = Response;
    type Error = S::Error;
    type Future = EarlyFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if matches!(*request.method(), Method::GET | Method::HEAD)
            && let Some(response) = self.answers.early(request.uri(), request.headers())
        {
            return EarlyFuture::Answered { response: Some(response) };
        }
        EarlyFuture::Asked { inner: self.inner.call(request) }
    }
}

pin_project! {
    /// See [`EarlyLayer`].
    #[project = Projection]
    pub enum EarlyFuture<F> {
        Answered { response: Option<Response> },
        Asked { #[pin] inner: F },
    }
}

impl<F: Future<Output = Result<Response, E>>, E> Future for EarlyFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            // Polled again after its end, which no caller does, it stays pending.
            Projection::Answered { response } => {
                response.take().map_or(Poll::Pending, |response| Poll::Ready(Ok(response)))
            }
            Projection::Asked { inner } => inner.poll(context),
        }
    }
}
