//! One HTTP request with one event.

use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::Callback;

/// Bytes of an answer that are read, so that its connection can be used again.
const MOST_READ: usize = 64 * 1024;

/// Sends webhooks over connections that it keeps.
#[derive(Clone)]
pub(super) struct Courier {
    client: Client<HttpConnector, Full<Bytes>>,
    timeout: Duration,
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// None where there was none: no connection, a broken one, or too late.
    pub(super) status: Option<StatusCode>,
    pub(super) retry_after: Option<Duration>,
}

impl Courier {
    pub(super) fn new(timeout: Duration) -> Courier {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(timeout));
        Courier { client: Client::builder(TokioExecutor::new()).build(connector), timeout }
    }

    /// Delivers `body` once, signed now.
    pub(super) async fn deliver(&self, callback: &Callback, id: &str, body: Bytes) -> Answer {
        let timestamp = Utc::now().timestamp();
        let request = Request::builder()
            .method(Method::POST)
            .uri(&callback.url)
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("farmlokal-sandbox/", env!("CARGO_PKG_VERSION")))
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", callback.key.sign(id, timestamp, &body))
            .body(Full::new(body));
        let Ok(request) = request else { return Answer::NONE };
        let exchange = async {
            let response = self.client.request(request).await.ok()?;
            let answer =
                Answer { status: Some(response.status()), retry_after: retry_after(response.headers()) };
            let _ = Limited::new(response.into_body(), MOST_READ).collect().await;
            Some(answer)
        };
        tokio::time::timeout(self.timeout, exchange).await.ok().flatten().unwrap_or(Answer::NONE)
    }
}

impl Answer {
    const NONE: Answer = Answer { status: None, retry_after: None };

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
