//! Takes a request's body in, whole, before anything else is done for the request: bounded in bytes, in time, and in how
//! many arrive at once. Handlers get it from memory, so a slow sender holds nothing but its connection.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tokio::sync::Semaphore;
use tokio_util::either::Either;
use tower::{Layer, Service};

use crate::problem::{Code, Problem};

/// Bodies that arrive at the same time: with the default bound on each, 64 MiB.
const AT_ONCE: usize = 256;

/// Bounds on a request's body.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    /// Bytes at the most; more is answered with 413.
    pub max_bytes: usize,
    /// Time for all of it to arrive; longer is answered with 408.
    pub timeout: Duration,
}

/// Reads bodies; requests without one pass as they are.
#[derive(Clone)]
pub struct BodyLayer {
    limits: BodyLimits,
    places: Arc<Semaphore>,
}

impl BodyLayer {
    /// Reads within these bounds. Clones share the places.
    #[must_use]
    pub fn new(limits: BodyLimits) -> Self {
        Self { limits, places: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    async fn read(self, body: Body) -> Result<Bytes, Problem> {
        // Given back as soon as the body is here, or is not going to be.
        let _place = self.places.try_acquire().map_err(|_| {
            let problem = Problem::new(Code::Overloaded, "Too many requests are arriving.");
            problem.retry_after(Duration::from_secs(1))
        })?;
        let max = self.limits.max_bytes;
        let too_large = || Problem::new(Code::BodyTooLarge, format!("The body may have {max} bytes."));
        if body.size_hint().lower() > max as u64 {
            return Err(too_large());
        }
        match tokio::time::timeout(self.limits.timeout, Limited::new(body, max).collect()).await {
            Ok(Ok(collected)) => Ok(collected.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
            Ok(Err(_)) => Err(Problem::new(Code::MalformedBody, "The body is not what its headers say.")),
            Err(_) => Err(Problem::new(Code::BodyTooSlow, "The body did not arrive in time.")),
        }
    }
}

impl<S> Layer<S> for BodyLayer {
    type Service = ReadBody<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ReadBody { inner, layer: self.clone() }
    }
}

/// See [`BodyLayer`].
#[derive(Clone)]
pub struct ReadBody<S> {
    inner: S,
    layer: BodyLayer,
}

impl<S> Service<Request> for ReadBody<S>
where
    S: Service<Request, Response = Response, Future: Send> + Clone + Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Either<S::Future, Pin<Box<dyn Future<Output = Result<Response, S::Error>> + Send>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if request.body().is_end_stream() {
            return Either::Left(self.inner.call(request));
        }
        let (layer, mut inner) = (self.layer.clone(), self.inner.clone());
        let (head, body) = request.into_parts();
        let answer = async move {
            match layer.read(body).await {
                Ok(bytes) => inner.call(Request::from_parts(head, Body::from(bytes))).await,
                Err(problem) => Ok(problem.into_response()),
            }
        };
        Either::Right(Box::pin(answer))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tower::{ServiceExt as _, service_fn};

    use super::*;

    async fn status(layer: &BodyLayer, body: Body) -> u16 {
        let counts = service_fn(async |request: Request| {
            let bytes = request.into_body().collect().await.unwrap().to_bytes();
            Ok::<_, Infallible>(Response::new(Body::from(bytes)))
        });
        let response = layer.layer(counts).oneshot(Request::new(body)).await.unwrap();
        response.status().as_u16()
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_are_bounded_in_bytes_time_and_number() {
        let layer = BodyLayer::new(BodyLimits { max_bytes: 10, timeout: Duration::from_secs(1) });
        assert_eq!(status(&layer, Body::empty()).await, 200);
        assert_eq!(status(&layer, Body::from("0123456789")).await, 200);
        assert_eq!(status(&layer, Body::from("0123456789a")).await, 413);
        let (_sender, never) = http_body_util::channel::Channel::<Bytes, Infallible>::new(1);
        assert_eq!(status(&layer, Body::new(never)).await, 408);
        let held = layer.places.acquire_many(u32::try_from(AT_ONCE).unwrap()).await.unwrap();
        assert_eq!(status(&layer, Body::from("x")).await, 503);
        assert_eq!(status(&layer, Body::empty()).await, 200);
        drop(held);
        assert_eq!(status(&layer, Body::from("x")).await, 200);
    }
}
