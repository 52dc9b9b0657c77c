//! Turns a handler's panic into a 500. Unlike tower-http's layer it leaves the body's type alone, which spares each
//! answer two boxes.

use std::any::Any;
use std::future::{Ready, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use pin_project_lite::pin_project;
use tokio_util::either::Either;
use tower::{Layer, Service};
use tracing::error;

use crate::problem::{Code, Problem};

/// Answers 500 for a request whose handler panics.
#[derive(Clone, Copy, Debug)]
pub struct CatchPanicLayer;

impl<S> Layer<S> for CatchPanicLayer {
    type Service = CatchPanic<S>;

    fn layer(&self, inner: S) -> Self::Service {
        CatchPanic { inner }
    }
}

/// See [`CatchPanicLayer`].
#[derive(Clone)]
pub struct CatchPanic<S> {
    inner: S,
}

impl<S: Service<Request, Response = Response>> Service<Request> for CatchPanic<S> {
    type Response = Response;
    type Error = S::Error;
    type Future = Either<CatchPanicFuture<S::Future>, Ready<Result<Response, S::Error>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        // What is answered at once is answered in the call.
        match catch_unwind(AssertUnwindSafe(|| self.inner.call(request))) {
            Ok(inner) => Either::Left(CatchPanicFuture { inner }),
            Err(panic) => Either::Right(ready(Ok(answer(&*panic)))),
        }
    }
}

pin_project! {
    /// See [`CatchPanicLayer`].
    pub struct CatchPanicFuture<F> {
        #[pin]
        inner: F,
    }
}

impl<F: Future<Output = Result<Response, E>>, E> Future for CatchPanicFuture<F> {
    type Output = F::Output;

    fn poll(self: std::pin::Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // A future that panicked is not polled again.
        let inner = self.project().inner;
        catch_unwind(AssertUnwindSafe(|| inner.poll(context)))
            .unwrap_or_else(|panic| Poll::Ready(Ok(answer(&*panic))))
    }
}

fn answer(panic: &(dyn Any + Send)) -> Response {
    error!(panic = message(panic), "a handler panicked");
    Problem::new(Code::Internal, "The handler failed.").into_response()
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::body::Body;
    use tower::{ServiceExt as _, service_fn};

    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_500() {
        let panics = service_fn(async |_: Request| -> Result<Response, Infallible> { panic!("by design") });
        let answer = CatchPanicLayer.layer(panics).oneshot(Request::new(Body::empty())).await.unwrap();
        assert_eq!(answer.status(), 500);
        let panics_in_the_call =
            service_fn(|_: Request| -> std::future::Ready<Result<Response, Infallible>> {
                panic!("by design")
            });
        let answer =
            CatchPanicLayer.layer(panics_in_the_call).oneshot(Request::new(Body::empty())).await.unwrap();
        assert_eq!(answer.status(), 500);
    }
}
