//! Requests to partners: bounded in time and size, one span each.

use std::time::Duration;

use anyhow::Context as _;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, StatusCode};
use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use reqwest::{Client, Request};
use tracing::{Instrument as _, debug, field};

use super::failure::{Failure, FailureKind, Partner};

/// The longest that making a connection may take, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Longer answers are not read to their end: none of the partners has so much to say.
const MAX_BODY: usize = 256 * 1024;
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

/// A successful answer.
pub(super) type Body = Bytes;

/// Sends `request`, the attempt of this number, and reads the whole answer within `limit`.
///
/// # Errors
/// What the partner's silence, or its status, means.
pub(super) async fn exchange(
    client: &Client,
    partner: Partner,
    request: Request,
    attempt: u32,
    limit: Duration,
) -> Result<Body, Failure> {
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
        let mut request = request;
        farmlokal_telemetry::inject_context(request.headers_mut());
        match tokio::time::timeout(limit, send(client, partner, request)).await {
            Ok(result) => result,
            Err(_) => Err(Failure::new(partner, FailureKind::TimedOut)),
        }
    }
    .instrument(span.clone())
    .await;
    if let Err(failure) = &result {
        span.record("error.type", failure.kind.name()).record("otel.status_code", "ERROR");
    }
    result
}

async fn send(client: &Client, partner: Partner, request: Request) -> Result<Body, Failure> {
    let broken = |error: reqwest::Error| {
        // Without the URL, for the same reason as above.
        debug!(partner = partner.name(), error = %Chain(&error.without_url()), "no answer");
        Failure::new(partner, FailureKind::Unreachable)
    };
    let timed_out = |error: reqwest::Error| {
        let late = error.is_timeout();
        Failure { kind: if late { FailureKind::TimedOut } else { FailureKind::Unreachable }, ..broken(error) }
    };
    let mut response = client.execute(request).await.map_err(timed_out)?;
    let status = response.status();
    tracing::Span::current().record("http.response.status_code", i64::from(status.as_u16()));
    if !status.is_success() {
        return Err(failure(partner, status, response.headers()));
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(Failure::new(partner, FailureKind::Invalid));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// What a status that is no success means.
fn failure(partner: Partner, status: StatusCode, headers: &HeaderMap) -> Failure {
    let theirs = status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429);
    Failure {
        partner,
        kind: if theirs { FailureKind::Failed } else { FailureKind::Refused },
        status: Some(status.as_u16()),
        retry_after: retry_after(headers, Utc::now()).filter(|_| theirs),
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

/// An error with all its causes: reqwest's own text says only that sending failed.
struct Chain<'a>(&'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
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
    fn a_status_says_whose_fault_it_is() {
        for (status, kind) in [
            (500, FailureKind::Failed),
            (503, FailureKind::Failed),
            (429, FailureKind::Failed),
            (408, FailureKind::Failed),
            (401, FailureKind::Refused),
            (404, FailureKind::Refused),
            (302, FailureKind::Refused),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(failure(Partner::ApiA, status, &HeaderMap::new()).kind, kind, "{status}");
        }
    }
}
