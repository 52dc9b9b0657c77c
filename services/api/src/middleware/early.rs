//! Answers at once what needs no route: what was asked a moment ago, and what there is no room for. Such a request needs no
//! place among those in flight and no deadline either. This is the hot path, and the one that has to be short under a flood.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::Response;
use tokio_util::either::Either;
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
    type Future = Either<Ready<Result<Response, S::Error>>, S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if matches!(*request.method(), Method::GET | Method::HEAD)
            && let Some(response) = self.answers.early(request.uri(), request.headers())
        {
            return Either::Left(ready(Ok(response)));
        }
        Either::Right(self.inner.call(request))
    }
}
