//! What webhooks are sent with, and what comes back.

use std::time::Duration;

use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, StatusCode};
use chrono::{DateTime, Utc};
use reqwest::{Client, redirect};

/// What came of an attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// None where there was none: no connection, a broken one, or too late.
    pub(super) status: Option<StatusCode>,
    pub(super) retry_after: Option<Duration>,
}

/// A client that keeps its connections.
pub(crate) fn client() -> reqwest::Result<Client> {
    // A client wants a TLS provider even for plain HTTP. An error says that the program has already chosen one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .no_proxy()
        // Without any: a machine may have none, and callbacks are plain HTTP.
        .tls_certs_only([])
        .redirect(redirect::Policy::none())
        .user_agent(concat!("farmlokal-sandbox/", env!("CARGO_PKG_VERSION")))
        .build()
}

impl Answer {
    pub(super) fn new(status: StatusCode, headers: &HeaderMap) -> Answer {
        Answer { status: Some(status), retry_after: retry_after(headers) }
    }

    pub(super) fn is_acknowledgement(self) -> bool {
        self.status.is_some_and(|status| status.is_success())
    }
}

/// Seconds or a date: [RFC 9110, 10.2.3](https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?;
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTime::parse_from_rfc2822(value).ok()?;
    Some((date.with_timezone(&Utc) - Utc::now()).to_std().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let wait = |value: &str| retry_after(&HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]));
        assert_eq!(wait("3"), Some(Duration::from_secs(3)));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert!(wait("Fri, 06 Nov 2893 08:49:37 GMT") > Some(Duration::from_hours(1)));
        assert_eq!(wait("soon"), None);
    }
}
