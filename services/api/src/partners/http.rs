//! Requests to partners: bounded in time and size, one span each.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, StatusCode};
use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use metrics::histogram;
use reqwest::{Client, Request, RequestBuilder, Response};
use serde::Deserialize;
use tokio::time::timeout;
use tracing::{Instrument as _, field};

use super::error::{CallError, Partner};
use crate::object::object;
use crate::problem::Code;

/// The longest that making a connection may take, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Longer answers are not read to their end: none of the partners has so much to say.
const MAX_BODY: usize = 256 * 1024;
/// How long the body of an error is waited for: only the log wants it.
const ERROR_BODY_TIMEOUT: Duration = Duration::from_millis(250);
/// Characters of a partner's error code that are logged.
const MAX_ERROR_CODE: usize = 64;
/// A longer `Retry-After` is cut to this.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

/// The client that all partners are called with.
///
/// It follows no redirect: one could carry a credential to somebody else. It trusts the certificates that the machine
/// trusts (`SSL_CERT_FILE` names others).
///
/// # Errors
/// A machine without any trusted certificate.
pub(crate) fn client() -> anyhow::Result<Client> {
    // An error says that the program has already chosen one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(CONNECT_TIMEOUT)
        .user_agent(concat!("farmlokal/", env!("CARGO_PKG_VERSION")))
        .build()
        .context("the client for partners")
}

/// Sends `request`, the attempt of this number, and has `parse` read the whole answer, all within `limit`.
///
/// # Errors
/// What the partner's silence, its status, or an answer that `parse` does not take means.
pub(super) async fn exchange<T>(
    partner: Partner,
    request: RequestBuilder,
    attempt: u32,
    limit: Duration,
    parse: impl FnOnce(&[u8]) -> Option<T>,
) -> Result<T, CallError> {
    let started = Instant::now();
    let (client, request) = request.build_split();
    let mut request = request.map_err(|_| CallError::new(partner, Code::PartnerInvalid))?;
    // Names of https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-client-span. The path is left out of
    // the name, and the URL out of the span: settings may have put a credential into it.
    let span = tracing::info_span!(
        "partner",
        otel.name = %format_args!("{} {}", request.method(), partner.name()),
        otel.kind = "client",
        otel.status_code = field::Empty,
        peer.service = partner.name(),
        http.request.method = %request.method(),
        http.request.resend_count = (attempt > 1).then(|| i64::from(attempt) - 1),
        server.address = request.url().host_str(),
        server.port = request.url().port_or_known_default(),
        http.response.status_code = field::Empty,
        error.type = field::Empty,
    );
    let result = async {
        farmlokal_telemetry::inject_context(request.headers_mut());
        match timeout(limit, send(&client, partner, request)).await {
            Ok(result) => parse(&result?).ok_or(CallError::new(partner, Code::PartnerInvalid)),
            Err(_) => Err(CallError::new(partner, Code::PartnerTimedOut)),
        }
    }
    .instrument(span.clone())
    .await;
    let outcome = result.as_ref().map_or_else(CallError::name, |_| "ok");
    if result.is_err() {
        span.record("error.type", outcome).record("otel.status_code", "ERROR");
    }
    histogram!("farmlokal_partner_request_duration_seconds", "partner" => partner.name(), "outcome" => outcome)
        .record(started.elapsed());
    result
}

async fn send(client: &Client, partner: Partner, request: Request) -> Result<Bytes, CallError> {
    let broken = |error: reqwest::Error| {
        let code = if error.is_timeout() { Code::PartnerTimedOut } else { Code::PartnerUnreachable };
        // Without the URL, for the same reason as above.
        let cause = format!("{:#}", anyhow::Error::from(error.without_url()));
        CallError { cause: Some(cause.into()), ..CallError::new(partner, code) }
    };
    let mut response = client.execute(request).await.map_err(broken)?;
    let status = response.status();
    tracing::Span::current().record("http.response.status_code", i64::from(status.as_u16()));
    if !status.is_success() {
        // An answer without its body is an answer still.
        let body = timeout(ERROR_BODY_TIMEOUT, read(&mut response)).await;
        let cause = body.ok().and_then(Result::ok).flatten().and_then(|body| error_code(&body));
        return Err(CallError { cause, ..refusal(partner, status, response.headers()) });
    }
    let body = read(&mut response).await.map_err(broken)?;
    body.ok_or(CallError::new(partner, Code::PartnerInvalid))
}

/// The whole body; `None` if it is too long.
async fn read(response: &mut Response) -> reqwest::Result<Option<Bytes>> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_BODY {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body.freeze()))
}

/// The `error` of [RFC 6749, section 5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2), fit for a log.
fn error_code(body: &[u8]) -> Option<Arc<str>> {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
    }
    let Refusal { error } = object(body).ok()?;
    let fit = |c: char| if c.is_ascii_graphic() { c } else { '?' };
    let code: String = error.chars().take(MAX_ERROR_CODE).map(fit).collect();
    Some(format!("error {code}").into())
}

/// What a status that is no success means.
fn refusal(partner: Partner, status: StatusCode, headers: &HeaderMap) -> CallError {
    let theirs = status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429);
    let code = if theirs { Code::PartnerFailed } else { Code::PartnerRefused };
    CallError {
        status: Some(status.as_u16()),
        retry_after: retry_after(headers, Utc::now()).filter(|_| theirs),
        ..CallError::new(partner, code)
    }
}

/// `Retry-After` by [RFC 9110, section 10.2.3](https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3): seconds or a date.
fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if let Ok(seconds) = value.parse() {
        Duration::from_secs(seconds)
    } else {
        let date = DateTime::parse_from_rfc2822(value).ok()?;
        (date.to_utc() - now).to_std().unwrap_or_default()
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date_and_bounded() {
        let now = DateTime::parse_from_rfc3339("2026-11-22T10:00:00Z").unwrap().to_utc();
        for (value, expected) in [
            ("3", Some(3)),
            (" 0 ", Some(0)),
            ("86400", Some(60)),
            ("Sun, 22 Nov 2026 10:00:07 GMT", Some(7)),
            ("Sun, 22 Nov 2026 09:00:00 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
            assert_eq!(retry_after(&headers, now), expected.map(Duration::from_secs), "{value:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn an_error_code_is_bounded_and_cannot_forge_a_line() {
        let code = |body: &str| error_code(body.as_bytes());
        assert_eq!(code(r#"{"error":"invalid_client","x":1}"#).as_deref(), Some("error invalid_client"));
        assert_eq!(code(r#"{"error":"a\nb \u001b[1m"}"#).as_deref(), Some("error a?b??[1m"));
        let long = format!(r#"{{"error":"{}"}}"#, "x".repeat(10_000));
        assert_eq!(code(&long).unwrap().len(), "error ".len() + MAX_ERROR_CODE);
        for body in ["", "<html>", "{}", r#"["invalid_client"]"#, r#"{"error":{}}"#] {
            assert_eq!(code(body), None, "{body}");
        }
    }

    #[test]
    fn a_status_says_whose_fault_it_is() {
        for (status, code) in [
            (500, Code::PartnerFailed),
            (503, Code::PartnerFailed),
            (429, Code::PartnerFailed),
            (408, Code::PartnerFailed),
            (401, Code::PartnerRefused),
            (404, Code::PartnerRefused),
            (302, Code::PartnerRefused),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(refusal(Partner::ApiA, status, &HeaderMap::new()).code, code, "{status}");
        }
    }
}
