//! The body of a request, read whole: bounded in bytes, in time, and in how many arrive at once.
//!
//! By hand: tower-http's limit answers in plain text (<https://github.com/tower-rs/tower-http/issues/417>), and its timeout
//! starts again with every byte.

use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tokio::sync::Semaphore;

use crate::problem::{Code, Problem};

/// Bodies that arrive at the same time. It bounds their memory, and how many of the requests in flight slow senders hold.
const MAX_BODIES: usize = 256;

/// Limits of a request's body.
pub(crate) struct BodyLimits {
    max_bytes: usize,
    timeout: Duration,
    permits: Semaphore,
}

impl BodyLimits {
    pub(crate) fn new(max_bytes: usize, timeout: Duration) -> BodyLimits {
        BodyLimits { max_bytes, timeout, permits: Semaphore::new(MAX_BODIES) }
    }

    /// Reads a body within the limits.
    ///
    /// # Errors
    /// `body_too_large`, `body_too_slow`, `malformed_body`, or `overloaded` if too many arrive.
    pub(crate) async fn read(&self, body: Body) -> Result<Bytes, Problem> {
        self.read_up_to(self.max_bytes, body).await
    }

    /// Reads a body that may have so many bytes.
    ///
    /// # Errors
    /// As [`BodyLimits::read`].
    pub(crate) async fn read_up_to(&self, max: usize, body: Body) -> Result<Bytes, Problem> {
        let _permit = self.permits.try_acquire().map_err(|_| {
            let problem = Problem::new(Code::Overloaded, "Too many bodies are arriving.");
            problem.retry_after(Duration::from_secs(1))
        })?;
        let too_large = || Problem::new(Code::BodyTooLarge, format!("The body may have {max} bytes."));
        if body.size_hint().lower() > max as u64 {
            return Err(too_large());
        }
        match tokio::time::timeout(self.timeout, Limited::new(body, max).collect()).await {
            Ok(Ok(collected)) => Ok(collected.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
            Ok(Err(_)) => Err(Problem::new(Code::MalformedBody, "The body is not what its headers say.")),
            Err(_) => Err(Problem::new(Code::BodyTooSlow, "The body did not arrive in time.")),
        }
    }
}

/// Refuses a body that is compressed, or said to be of another type than these, which have `, ` between them.
///
/// # Errors
/// `unsupported_media_type`.
pub(crate) fn require_json(headers: &HeaderMap, types: &'static str) -> Result<(), Problem> {
    let is = |value: &HeaderValue, name: &str| {
        let value = value.to_str().unwrap_or_default();
        value.split(';').next().is_some_and(|value| value.trim().eq_ignore_ascii_case(name))
    };
    let refuse = |detail: String| Problem::new(Code::UnsupportedMediaType, detail);
    if headers.get_all(CONTENT_ENCODING).iter().any(|coding| !is(coding, "identity")) {
        let detail = "The body must not be compressed: send it without Content-Encoding.";
        return Err(refuse(detail.to_owned()).accepting(ACCEPT_ENCODING, "identity"));
    }
    match headers.get(CONTENT_TYPE) {
        Some(kind) if !types.split(", ").any(|name| is(kind, name)) => {
            let detail = format!("The body must be {}.", types.replace(", ", " or "));
            Err(refuse(detail).accepting(ACCEPT, types))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bodies_are_bounded_in_bytes_time_and_number() {
        let limits = BodyLimits::new(10, Duration::from_secs(1));
        let code = async |body: Body| limits.read(body).await.map_err(|problem| problem.code());
        assert_eq!(code(Body::empty()).await, Ok(Bytes::new()));
        assert_eq!(code(Body::from("0123456789")).await, Ok(Bytes::from("0123456789")));
        assert_eq!(code(Body::from("0123456789a")).await, Err(Code::BodyTooLarge));
        let (_sender, never) = http_body_util::channel::Channel::<Bytes, Infallible>::new(1);
        assert_eq!(code(Body::new(never)).await, Err(Code::BodyTooSlow));
        let held = limits.permits.acquire_many(u32::try_from(MAX_BODIES).unwrap()).await.unwrap();
        assert_eq!(code(Body::from("x")).await, Err(Code::Overloaded));
        drop(held);
        assert_eq!(code(Body::from("x")).await, Ok(Bytes::from("x")));
    }
}
