//! What came in: counters, and the last requests.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::Json;
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// How many of the last requests are remembered.
const REMEMBERED: usize = 256;
/// Longer headers are not a trace context (55 characters are).
const LONGEST_TRACEPARENT: usize = 128;

/// What can be asked, and can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Endpoint {
    /// `POST /oauth/token`
    Token,
    /// `GET /api-a/status`
    ApiA,
    /// `/api-b/callbacks`
    ApiB,
}

impl Endpoint {
    /// How it answers bad credentials: [RFC 6749, 5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2) and
    /// [RFC 6750, 3](https://www.rfc-editor.org/rfc/rfc6750#section-3).
    pub(crate) fn refusal(self) -> Response {
        let (error, challenge) = match self {
            Endpoint::Token => ("invalid_client", r#"Basic realm="sandbox""#),
            Endpoint::ApiA | Endpoint::ApiB => {
                ("invalid_token", r#"Bearer realm="sandbox", error="invalid_token""#)
            }
        };
        let body = Json(json!({ "error": error }));
        (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, challenge)], body).into_response()
    }
}

/// What happened at one endpoint since the last reset. A request that met no fault and whose client went away before
/// the answer counts in `requests` only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointCounters {
    /// Requests that arrived.
    pub requests: u64,
    /// Requests that met a fault, those that only took longer aside.
    pub failed: u64,
    /// Requests answered with 2xx: for the token endpoint, tokens issued.
    pub succeeded: u64,
    /// Requests answered otherwise for a reason of their own, such as a wrong secret or token.
    pub refused: u64,
}

/// The counters of all endpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// `POST /oauth/token`
    pub token: EndpointCounters,
    /// `GET /api-a/status`
    pub api_a: EndpointCounters,
    /// `/api-b/callbacks`
    pub api_b: EndpointCounters,
}

/// A request that arrived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Where.
    pub endpoint: Endpoint,
    /// When.
    pub at: DateTime<Utc>,
    /// The caller's [trace context](https://www.w3.org/TR/trace-context/).
    pub traceparent: Option<String>,
}

/// Remembers what came in, within bounds.
#[derive(Default)]
pub(crate) struct Journal(Mutex<Pages>);

#[derive(Default)]
struct Pages {
    counters: Counters,
    seen: VecDeque<Seen>,
}

impl Journal {
    pub(crate) fn arrived(&self, endpoint: Endpoint, headers: &HeaderMap) {
        let traceparent = headers.get("traceparent").and_then(|value| value.to_str().ok());
        let traceparent = traceparent.filter(|text| text.len() <= LONGEST_TRACEPARENT).map(str::to_owned);
        let mut pages = self.lock();
        pages.of(endpoint).requests += 1;
        if pages.seen.len() == REMEMBERED {
            pages.seen.pop_front();
        }
        pages.seen.push_back(Seen { endpoint, at: Utc::now(), traceparent });
    }

    pub(crate) fn failed(&self, endpoint: Endpoint) {
        self.lock().of(endpoint).failed += 1;
    }

    pub(crate) fn answered(&self, endpoint: Endpoint, status: StatusCode) {
        let mut pages = self.lock();
        let counters = pages.of(endpoint);
        if status.is_success() {
            counters.succeeded += 1;
        } else {
            counters.refused += 1;
        }
    }

    pub(crate) fn counters(&self) -> Counters {
        self.lock().counters
    }

    /// The last requests, oldest first.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.lock().seen.iter().cloned().collect()
    }

    pub(crate) fn reset(&self) {
        *self.lock() = Pages::default();
    }

    fn lock(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pages {
    fn of(&mut self, endpoint: Endpoint) -> &mut EndpointCounters {
        match endpoint {
            Endpoint::Token => &mut self.counters.token,
            Endpoint::ApiA => &mut self.counters.api_a,
            Endpoint::ApiB => &mut self.counters.api_b,
        }
    }
}
