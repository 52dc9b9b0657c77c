//! How an endpoint fails, switched at run time.

use std::io::{Error, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use futures::{StreamExt as _, stream};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;
use tokio::task::yield_now;
use tokio::time::timeout;

use crate::journal::Endpoint;
use crate::listener::Socket;
use crate::sandbox::{MAX_BODY, Partners, lock};

/// What [`Mode::Slow`] waits where no latency is set: longer than any client of ours does.
const SLOW: Duration = Duration::from_secs(5);

/// What an endpoint does with a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Answers as it should.
    #[default]
    Ok,
    /// Answers as it should after `latencyMs`, or 5 s where that is 0.
    Slow,
    /// Answers with `status`.
    Error,
    /// Answers with `status` and `Retry-After: <retryAfter>`.
    RetryAfter,
    /// Refuses the caller's credentials with 401, whatever they are.
    #[serde(alias = "wrong_secret")]
    Unauthorized,
    /// Answers 200 with an HTML page.
    Garbage,
    /// Answers 200 with `{}`.
    Empty,
    /// Answers as it should and breaks off within the body.
    Truncated,
    /// Closes the connection without an answer.
    Down,
    /// Resets the connection (RST).
    Reset,
    /// Never answers.
    Hang,
}

/// The fault of one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Fault {
    /// What happens.
    pub mode: Mode,
    /// The status of [`Mode::Error`] and [`Mode::RetryAfter`]: 400 to 599.
    #[serde(deserialize_with = "error_status")]
    pub status: u16,
    /// Milliseconds before anything happens, in every mode.
    pub latency_ms: u64,
    /// So many requests meet this fault and then none does; 0 lets it last.
    pub fail_next: u32,
    /// Seconds in [`Mode::RetryAfter`].
    pub retry_after: u32,
    /// The `expires_in` of tokens, nonsense included; they are valid for as long as it says, 0 s at least. Without it
    /// an hour. For the token endpoint only.
    pub expires_in: Option<i64>,
    /// Tokens come without `expires_in`, which RFC 6749 only recommends.
    pub omit_expires_in: bool,
}

impl Default for Fault {
    fn default() -> Fault {
        Fault {
            mode: Mode::Ok,
            status: 503,
            latency_ms: 0,
            fail_next: 0,
            retry_after: 1,
            expires_in: None,
            omit_expires_in: false,
        }
    }
}

impl From<Mode> for Fault {
    fn from(mode: Mode) -> Fault {
        Fault { mode, ..Fault::default() }
    }
}

/// Counts a request, lets it meet its endpoint's fault, and counts what came of it.
pub(crate) async fn meet(
    State((partners, endpoint)): State<(Arc<Partners>, Endpoint)>,
    ConnectInfo(socket): ConnectInfo<Socket>,
    mut request: Request,
    next: Next,
) -> Response {
    let fault = lock(&partners.journal).arrived(endpoint, request.headers());
    let slow = if fault.mode == Mode::Slow { SLOW } else { Duration::ZERO };
    let latency = if fault.latency_ms == 0 { slow } else { Duration::from_millis(fault.latency_ms) };
    if !latency.is_zero() {
        let _ = timeout(latency, partners.shutdown.cancelled()).await;
    }
    let mode = fault.mode;
    let status = StatusCode::from_u16(fault.status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let retry_after = fault.retry_after.to_string();
    request.extensions_mut().insert(fault);
    let response = match mode {
        Mode::Ok | Mode::Slow => next.run(request).await,
        Mode::Error => (status, "the sandbox fails as it was told").into_response(),
        Mode::RetryAfter => (status, [(RETRY_AFTER, retry_after)]).into_response(),
        Mode::Unauthorized => endpoint.refusal(),
        Mode::Garbage => Html("<html><h1>It works!</h1></html>").into_response(),
        Mode::Empty => Json(json!({})).into_response(),
        Mode::Truncated => {
            let (head, body) = next.run(request).await.into_parts();
            let bytes = to_bytes(body, MAX_BODY).await.unwrap_or_default();
            Response::from_parts(head, cut(Some(bytes.slice(..bytes.len() / 2))))
        }
        Mode::Down => Response::new(cut(None)),
        Mode::Reset => {
            socket.reset_at_end();
            Response::new(cut(None))
        }
        Mode::Hang => {
            partners.shutdown.cancelled().await;
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    };
    lock(&partners.journal).answered(endpoint, mode, response.status());
    response
}

/// A body that ends the connection after its beginning; without one nothing at all is sent, not even the head.
fn cut(beginning: Option<Bytes>) -> Body {
    let is_begun = beginning.is_some();
    let end = async move {
        if is_begun {
            // While it waits, the server sends what it has.
            yield_now().await;
        }
        Err(Error::from(ErrorKind::ConnectionAborted))
    };
    Body::from_stream(stream::iter(beginning.map(Ok)).chain(stream::once(end)))
}

fn error_status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    match u16::deserialize(deserializer)? {
        status @ 400..=599 => Ok(status),
        status => Err(serde::de::Error::custom(format!("status: {status} is not between 400 and 599"))),
    }
}
