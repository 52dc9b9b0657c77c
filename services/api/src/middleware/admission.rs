//! A bound on the requests in flight: beyond it the service says so at once, instead of growing queues and memory.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use pin_project_lite::pin_project;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::{Layer, Service};

use crate::problem::{Code, Problem};

/// Answers 503 for requests beyond so many in flight.
#[derive(Clone)]
pub struct AdmissionLayer(Arc<Semaphore>);

impl AdmissionLayer {
    /// Admits this many requests at a time, over all clones together.
    #[must_use]
    pub fn new(max_requests: usize) -> Self {
        Self(Arc::new(Semaphore::new(max_requests.min(Semaphore::MAX_PERMITS))))
    }
}

impl<S> Layer<S> for AdmissionLayer {
    type Service = Admission<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Admission { inner, permits: Arc::clone(&self.0) }
    }
}

/// See [`AdmissionLayer`].
#[derive(Clone)]
pub struct Admission<S> {
    inner: S,
    permits: Arc<Semaphore>,
}

impl<S: Service<Request, Response = Response>> Service<Request> for Admission<S> {
    type Response = Response;
    type Error = S::Error;
    type Future = AdmissionFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => AdmissionFuture::Admitted { inner: self.inner.call(request), _permit: permit },
            Err(_) => AdmissionFuture::Refused,
        }
    }
}

pin_project! {
    /// See [`AdmissionLayer`].
    #[project = Projection]
    pub enum AdmissionFuture<F> {
        Admitted { #[pin] inner: F, _permit: OwnedSemaphorePermit },
        Refused,
    }
}

impl<F: Future<Output = Result<Response, E>>, E> Future for AdmissionFuture<F> {
    type Output = F::Output;

    fn poll(self: std::pin::Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            Projection::Admitted { inner, .. } => inner.poll(context),
            Projection::Refused => {
                let problem =
                    Problem::new(Code::Overloaded, "The service answers as many requests as it can.");
                Poll::Ready(Ok(problem.retry_after(Duration::from_secs(1)).into_response()))
            }
        }
    }
}
