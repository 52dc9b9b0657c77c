//! A bound on the requests in flight: beyond it the service says so at once, instead of growing queues and memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use crate::problem::{Code, Problem};

/// Answers 503 for requests beyond so many in flight, over all clones together.
#[derive(Clone)]
pub struct AdmissionLayer {
    in_flight: InFlight,
    max: usize,
}

/// How many requests are in flight. Clones share the count.
#[derive(Clone, Default)]
pub struct InFlight(Arc<AtomicUsize>);

impl InFlight {
    /// The count now.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl AdmissionLayer {
    /// Admits this many requests at a time, and counts them in `in_flight`.
    #[must_use]
    pub fn new(max: usize, in_flight: InFlight) -> Self {
        Self { in_flight, max }
    }

    /// Admits none.
    #[must_use]
    pub(super) fn closed(self) -> Self {
        Self { max: 0, ..self }
    }
}

/// One request's place; given back when it is dropped.
struct Place(InFlight);

impl Place {
    fn take(layer: &AdmissionLayer) -> Option<Self> {
        let place = Self(layer.in_flight.clone());
        let before = place.0.0.fetch_add(1, Ordering::Relaxed);
        (before < layer.max).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<S> Layer<S> for AdmissionLayer {
    type Service = Admission<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Admission { inner, layer: self.clone() }
    }
}

/// See [`AdmissionLayer`].
#[derive(Clone)]
pub struct Admission<S> {
    inner: S,
    layer: AdmissionLayer,
}

impl<S: Service<Request, Response = Response>> Service<Request> for Admission<S> {
    type Response = Response;
    type Error = S::Error;
    type Future = AdmissionFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        match Place::take(&self.layer) {
            Some(place) => AdmissionFuture::Admitted { inner: self.inner.call(request), _place: place },
            None => AdmissionFuture::Refused,
        }
    }
}

pin_project! {
    /// See [`AdmissionLayer`].
    #[project = Projection]
    pub enum AdmissionFuture<F> {
        Admitted { #[pin] inner: F, _place: Place },
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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::body::Body;
    use tower::{ServiceExt as _, service_fn};

    use super::*;

    #[tokio::test]
    async fn a_request_beyond_the_bound_is_refused_and_a_place_given_back_is_free() {
        let in_flight = InFlight::default();
        let layer = AdmissionLayer::new(1, in_flight.clone());
        let waits =
            layer.layer(service_fn(|_: Request| std::future::pending::<Result<Response, Infallible>>()));
        let answers =
            layer.layer(service_fn(async |_: Request| Ok::<_, Infallible>(Response::new(Body::empty()))));
        let ask = || answers.clone().oneshot(Request::new(Body::empty()));

        let mut first = Box::pin(waits.oneshot(Request::new(Body::empty())));
        assert!(futures_poll(&mut first).await.is_pending());
        assert_eq!(in_flight.count(), 1);
        let refused = ask().await.unwrap();
        assert_eq!(
            (refused.status().as_u16(), &refused.headers()["retry-after"]),
            (503, &"1".parse().unwrap())
        );
        drop(first);
        assert_eq!(in_flight.count(), 0);
        assert_eq!(ask().await.unwrap().status(), 200);
        assert_eq!(in_flight.count(), 0);
    }

    async fn futures_poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
        std::future::poll_fn(|context| Poll::Ready(std::pin::Pin::new(&mut *future).poll(context))).await
    }
}
