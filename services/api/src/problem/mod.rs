//! Errors as clients see them: `application/problem+json` of [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457).

mod codes;
mod database;
mod search;

use std::borrow::Cow;
use std::time::Duration;

use axum::Json;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use codes::Documentation;
pub(crate) use codes::{Code, PROBLEMS};

/// Parameters that `detail` names; `params` has them all.
const MAX_NAMED: usize = 10;

/// An error on its way to the client.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    code: Code,
    detail: Cow<'static, str>,
    params: Vec<InvalidParam>,
    retry_after: Option<Duration>,
    call: Option<CallBody>,
    accepted: Option<Box<(HeaderName, HeaderValue)>>,
}

impl Problem {
    /// A problem of this kind; `detail` says what happened this time, without any internal name.
    pub(crate) fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            detail: detail.into(),
            params: Vec::new(),
            retry_after: None,
            call: None,
            accepted: None,
        }
    }

    /// A problem of this kind that names each bad parameter or field.
    pub(crate) fn naming(code: Code, params: Vec<InvalidParam>) -> Self {
        let names: Vec<_> = params.iter().take(MAX_NAMED).map(|param| param.name.as_str()).collect();
        let more = match params.len() - names.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let detail = format!("Not valid: {}{more}.", names.join(", "));
        Self { params, ..Self::new(code, detail) }
    }

    pub(crate) fn code(&self) -> Code {
        self.code
    }

    /// Asks the client to wait at least this long, rounded up to whole seconds.
    #[must_use]
    pub(crate) fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Says what the path would have taken: <https://www.rfc-editor.org/rfc/rfc9110#section-15.5.16>
    #[must_use]
    pub(crate) fn accepting(mut self, name: HeaderName, value: &'static str) -> Self {
        self.accepted = Some(Box::new((name, HeaderValue::from_static(value))));
        self
    }

    /// Says what came of the call to a partner.
    #[must_use]
    pub(crate) fn with_call(mut self, call: CallBody) -> Self {
        self.call = Some(call);
        self
    }
}

/// The body of an error: a problem of RFC 9457 with the members `code` and `params`.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody<'a> {
    /// Where this kind of problem is documented.
    #[schema(example = "/problems#invalid_parameter")]
    r#type: String,
    /// The kind of problem, for people.
    #[schema(example = "Invalid parameter")]
    title: &'a str,
    /// The HTTP status.
    #[schema(example = 400)]
    status: u16,
    /// The kind of problem, for programs; stable.
    #[schema(example = "invalid_parameter")]
    code: &'a str,
    /// What happened this time.
    #[schema(example = "Not valid: limit.")]
    detail: &'a str,
    /// Each bad parameter, field of a body or operation of a batch; there for `invalid_parameter`, `invalid_event`,
    /// `invalid_body` and `batch_refused` only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    params: Vec<InvalidParam>,
    /// What came of the call to a partner, `fresh`, `fallback` or `failed`; there, like the next two, for problems of such
    /// calls only.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'a str>,
    /// Requests that the partner was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
    /// The circuit breaker after the call: `closed`, `half_open` or `open`.
    #[serde(skip_serializing_if = "Option::is_none")]
    breaker: Option<&'a str>,
}

/// What came of a call to a partner.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = PartnerCall)]
pub(crate) struct CallBody {
    /// `fresh`, `fallback` or `failed`.
    #[schema(example = "fresh")]
    pub(crate) outcome: &'static str,
    /// Requests that the partner was sent.
    #[schema(example = 1)]
    pub(crate) attempts: u32,
    /// The circuit breaker after the call: `closed`, `half_open` or `open`.
    #[schema(example = "closed")]
    pub(crate) breaker: &'static str,
}

/// A bad parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct InvalidParam {
    /// The parameter's name, as it was sent.
    #[schema(example = "limit")]
    pub(crate) name: String,
    /// What is wrong with it, for programs; stable.
    #[schema(example = "out_of_range")]
    pub(crate) code: &'static str,
    /// What is wrong with it, for people.
    #[schema(example = "must be a whole number from 1 to 100")]
    pub(crate) detail: String,
}

impl InvalidParam {
    pub(crate) fn new(name: impl Into<String>, code: &'static str, detail: impl Into<String>) -> Self {
        Self { name: name.into(), code, detail: detail.into() }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Documentation { name, status, title, .. } = self.code.documentation();
        let body = ProblemBody {
            r#type: format!("/problems#{name}"),
            title,
            status: status.as_u16(),
            code: name,
            detail: &self.detail,
            params: self.params,
            outcome: self.call.as_ref().map(|call| call.outcome),
            attempts: self.call.as_ref().map(|call| call.attempts),
            breaker: self.call.as_ref().map(|call| call.breaker),
        };
        let mut response = (*status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(challenge) = challenge(self.code) {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        headers.extend(self.accepted.map(|accepted| *accepted));
        if let Some(wait) = self.retry_after {
            headers.insert(RETRY_AFTER, whole_seconds(wait).into());
        }
        if status.is_server_error() {
            // For the metric of requests.
            response.extensions_mut().insert(self.code);
        }
        response
    }
}

/// RFC 9110 wants a challenge with every 401; webhooks have no registered scheme. What
/// [RFC 6750, section 3](https://www.rfc-editor.org/rfc/rfc6750#section-3) asks for says no more than the code does.
fn challenge(code: Code) -> Option<&'static str> {
    match code {
        Code::InvalidSignature => Some("Webhook-Signature"),
        Code::MissingToken => Some("Bearer realm=\"FarmLokal\""),
        Code::InvalidToken => Some("Bearer realm=\"FarmLokal\", error=\"invalid_token\""),
        Code::InsufficientScope => Some("Bearer realm=\"FarmLokal\", error=\"insufficient_scope\""),
        _ => None,
    }
}

/// `Retry-After` counts in whole seconds, at least one.
fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_rounded_up_and_never_zero() {
        let waits = [0, 1, 1_000, 1_001].map(|ms| whole_seconds(Duration::from_millis(ms)));
        assert_eq!(waits, [1, 1, 1, 2]);
    }
}
