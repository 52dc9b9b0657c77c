//! A deadline for each request. The timer is made only for a request that has to wait: most are answered from memory
//! the first time they are polled.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};
use tower::{Layer, Service};

use crate::problem::{Code, Problem};

/// Answers 503 for a request that takes longer than this.
#[derive(Clone, Copy, Debug)]
pub struct DeadlineLayer(Duration);

impl DeadlineLayer {
    /// Gives each request this long.
    #[must_use]
    pub fn new(timeout: Duration) -> Self {
        Self(timeout)
    }
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = Deadline<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Deadline { inner, timeout: self.0 }
    }
}

/// See [`DeadlineLayer`].
#[derive(Clone)]
pub struct Deadline<S> {
    inner: S,
    timeout: Duration,
}

impl<S: Service<Request, Response = Response>> Service<Request> for Deadline<S> {
    type Response = Response;
    type Error = S::Error;
    type Future = DeadlineFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        DeadlineFuture { inner: self.inner.call(request), timeout: self.timeout, timer: None }
    }
}

pin_project! {
    /// See [`DeadlineLayer`].
    pub struct DeadlineFuture<F> {
        #[pin]
        inner: F,
        timeout: Duration,
        timer: Option<Pin<Box<Sleep>>>,
    }
}

impl<F: Future<Output = Result<Response, E>>, E> Future for DeadlineFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(response) = this.inner.poll(context) {
            return Poll::Ready(response);
        }
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep(*this.timeout)));
        timer.as_mut().poll(context).map(|()| {
            let problem = Problem::new(Code::TimedOut, "The request reached its deadline.");
            Ok(problem.retry_after(Duration::from_secs(1)).into_response())
        })
    }
}
