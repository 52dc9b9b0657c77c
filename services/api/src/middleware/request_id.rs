//! `x-request-id`: the client's own where it sends a usable one, else a new one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use bytes::Bytes;
use farmlokal_telemetry::request_id::{WithRequestId, scope};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longer ids are replaced: they end up in logs.
const LONGEST: usize = 128;

/// Puts `x-request-id` on every response, and on every line that is logged for the request.
#[derive(Clone)]
pub struct RequestIdLayer(Arc<Ids>);

/// 128-bit ids: the upper half is random for each process, the lower half counts. Unique without a random number or a
/// lock for each request.
struct Ids {
    process: u64,
    next: AtomicU64,
}

impl Default for RequestIdLayer {
    fn default() -> Self {
        // The standard library seeds each of these from the system's randomness.
        let process = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), std::process::id());
        Self(Arc::new(Ids { process, next: AtomicU64::new(1) }))
    }
}

impl Ids {
    fn next(&self) -> HeaderValue {
        let count = self.next.fetch_add(1, Ordering::Relaxed);
        let mut id = Vec::with_capacity(32);
        for half in [self.process, count] {
            id.extend((0..16).rev().map(|digit| b"0123456789abcdef"[(half >> (4 * digit) & 15) as usize]));
        }
        HeaderValue::from_maybe_shared(Bytes::from(id)).unwrap_or(HeaderValue::from_static("-"))
    }
}

fn usable(id: &HeaderValue) -> bool {
    let bytes = id.as_bytes();
    (1..=LONGEST).contains(&bytes.len())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(byte))
}

impl<S> Layer<S> for RequestIdLayer {
    type Service = RequestId<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequestId { inner, ids: Arc::clone(&self.0) }
    }
}

/// See [`RequestIdLayer`].
#[derive(Clone)]
pub struct RequestId<S> {
    inner: S,
    ids: Arc<Ids>,
}

impl<S: Service<Request, Response = Response>> Service<Request> for RequestId<S> {
    type Response = Response;
    type Error = S::Error;
    type Future = RequestIdFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let id = match request.headers().get(X_REQUEST_ID) {
            Some(id) if usable(id) => id.clone(),
            _ => self.ids.next(),
        };
        RequestIdFuture { inner: scope(id, self.inner.call(request)) }
    }
}

pin_project! {
    /// See [`RequestIdLayer`].
    pub struct RequestIdFuture<F> {
        #[pin]
        inner: WithRequestId<F>,
    }
}

impl<F: Future<Output = Result<Response, E>>, E> Future for RequestIdFuture<F> {
    type Output = F::Output;

    fn poll(self: std::pin::Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut inner = self.project().inner;
        let mut response = ready!(inner.as_mut().poll(context))?;
        if let Some(id) = inner.take_value() {
            response.headers_mut().insert(X_REQUEST_ID, id);
        }
        Poll::Ready(Ok(response))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_32_hex_digits_and_differ() {
        let (one, other) = (RequestIdLayer::default(), RequestIdLayer::default());
        let ids = [one.0.next(), one.0.next(), other.0.next(), other.0.next()];
        for (i, id) in ids.iter().enumerate() {
            assert_eq!(id.len(), 32);
            assert!(id.as_bytes().iter().all(u8::is_ascii_hexdigit), "{id:?}");
            assert!(ids[..i].iter().all(|earlier| earlier != id), "{ids:?}");
        }
    }

    #[test]
    fn only_short_plain_ids_of_clients_are_kept() {
        for (id, expected) in [
            ("0191d8a4-9d1c-7c33-b5ab-5a5d4cf3a1ee", true),
            ("Root=1-67891233-abcdef012345678912345678", true),
            ("", false),
            ("two words", false),
            ("quote\"", false),
            ("<script>", false),
        ] {
            assert_eq!(usable(&HeaderValue::from_static(id)), expected, "{id}");
        }
        assert!(!usable(&HeaderValue::from_str(&"a".repeat(LONGEST + 1)).unwrap()));
    }
}
