//! The faults of the endpoints, and what came in: counters, and the last requests.

use std::collections::VecDeque;

use axum::Json;
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::faults::{Fault, Mode};

/// How many of the last requests are remembered.
const REMEMBERED: usize = 256;
/// Longer headers are not a trace context (55 characters are).
const LONGEST_TRACEPARENT: usize = 128;

/// What can be asked, and can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `POST /oauth/token`
    Token,
    /// The issuer's documents: `/.well-known/openid-configuration` and `/.well-known/oauth-authorization-server`
    Discovery,
    /// `GET /.well-known/jwks.json`
    Keys,
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
            _ => ("invalid_token", r#"Bearer realm="sandbox", error="invalid_token""#),
        };
        let body = Json(json!({ "error": error }));
        (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, challenge)], body).into_response()
    }
}

/// Something for each endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PerEndpoint<T> {
    /// `POST /oauth/token`
    pub token: T,
    /// The issuer's documents
    pub discovery: T,
    /// `GET /.well-known/jwks.json`
    pub keys: T,
    /// `GET /api-a/status`
    pub api_a: T,
    /// `/api-b/callbacks`
    pub api_b: T,
}

impl<T> PerEndpoint<T> {
    pub(crate) fn of(&mut self, endpoint: Endpoint) -> &mut T {
        match endpoint {
            Endpoint::Token => &mut self.token,
            Endpoint::Discovery => &mut self.discovery,
            Endpoint::Keys => &mut self.keys,
            Endpoint::ApiA => &mut self.api_a,
            Endpoint::ApiB => &mut self.api_b,
        }
    }
}

/// The faults of all endpoints.
pub type Faults = PerEndpoint<Fault>;
/// The counters of all endpoints.
pub type Counters = PerEndpoint<EndpointCounters>;

/// What happened at one endpoint since the last reset. A request that met no fault and whose client went away before
/// the answer counts in `requests` only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
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

/// A request that arrived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// The caller's [trace context](https://www.w3.org/TR/trace-context/).
    pub traceparent: Option<String>,
}

/// What a reset resets.
#[derive(Default)]
pub(crate) struct Journal {
    pub(crate) faults: Faults,
    pub(crate) counters: Counters,
    /// The last requests, oldest first.
    pub(crate) seen: VecDeque<Seen>,
}

impl Journal {
    /// Notes a request, and says which fault it meets. That counts as one of its `fail_next`.
    pub(crate) fn arrived(&mut self, endpoint: Endpoint, headers: &HeaderMap) -> Fault {
        let traceparent = headers.get("traceparent").and_then(|value| value.to_str().ok());
        let traceparent = traceparent.filter(|text| text.len() <= LONGEST_TRACEPARENT).map(str::to_owned);
        if self.seen.len() == REMEMBERED {
            self.seen.pop_front();
        }
        self.seen.push_back(Seen { traceparent });
        self.counters.of(endpoint).requests += 1;
        let fault = self.faults.of(endpoint);
        let met = fault.clone();
        match fault.fail_next {
            1 => *fault = Fault::default(),
            left => fault.fail_next = left.saturating_sub(1),
        }
        met
    }

    /// Counts what came of a request that met a fault of this mode.
    pub(crate) fn answered(&mut self, endpoint: Endpoint, mode: Mode, status: StatusCode) {
        let counters = self.counters.of(endpoint);
        *match mode {
            Mode::Ok | Mode::Slow if status.is_success() => &mut counters.succeeded,
            Mode::Ok | Mode::Slow => &mut counters.refused,
            _ => &mut counters.failed,
        } += 1;
    }
}
