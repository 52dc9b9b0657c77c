//! Errors as clients see them: `application/problem+json` of [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457).

use std::borrow::Cow;
use std::time::Duration;

use axum::Json;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use farmlokal_catalog as catalog;
use serde::Serialize;
use utoipa::ToSchema;

/// Everything that can go wrong, as a client sees it. The codes are stable; the texts are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    InvalidParameter,
    NotFound,
    MethodNotAllowed,
    BodyTooSlow,
    MalformedBody,
    RateLimited,
    SearchUnavailable,
    DatabaseUnavailable,
    Overloaded,
    TimedOut,
    InvalidEvent,
    InvalidSignature,
    EventInFlight,
    EventConflict,
    BodyTooLarge,
    NotConfigured,
    PartnerUnreachable,
    PartnerTimedOut,
    PartnerFailed,
    PartnerInvalid,
    PartnerRefused,
    PartnerSuspended,
    Internal,
}

/// A row of the table of problems: the code as clients see it, its HTTP status, and what it means.
pub(crate) struct Documentation {
    pub(crate) name: &'static str,
    pub(crate) status: StatusCode,
    pub(crate) title: &'static str,
    pub(crate) meaning: &'static str,
}

/// The table of problems, in the order of [`Code`]. `/problems` serves it, and OpenAPI refers to it.
pub(crate) const PROBLEMS: [Documentation; 23] = [
    Documentation {
        name: "invalid_parameter",
        status: StatusCode::BAD_REQUEST,
        title: "A parameter is not valid",
        meaning: "One or more parameters are unknown, repeated, malformed, out of range or do not go together. \
                  `params` names each of them with a code of its own. The same request never succeeds.",
    },
    Documentation {
        name: "not_found",
        status: StatusCode::NOT_FOUND,
        title: "There is nothing here",
        meaning: "No such product, or no such path.",
    },
    Documentation {
        name: "method_not_allowed",
        status: StatusCode::METHOD_NOT_ALLOWED,
        title: "The method is not allowed here",
        meaning: "The path exists, but not with this method. `Allow` lists the methods it has.",
    },
    Documentation {
        name: "body_too_slow",
        status: StatusCode::REQUEST_TIMEOUT,
        title: "The request's body took too long",
        meaning: "The whole body has to arrive within some seconds. The same request may succeed on a better connection.",
    },
    Documentation {
        name: "malformed_body",
        status: StatusCode::BAD_REQUEST,
        title: "The request's body cannot be read",
        meaning: "The body is not what its headers say: it ends too early, or its chunks are malformed.",
    },
    Documentation {
        name: "rate_limited",
        status: StatusCode::TOO_MANY_REQUESTS,
        title: "Too many requests from one client",
        meaning: "The client has used up its quota. `RateLimit-Policy` says what it is allowed, `RateLimit` what it has \
                  left, and `Retry-After` when to try again.",
    },
    Documentation {
        name: "search_unavailable",
        status: StatusCode::SERVICE_UNAVAILABLE,
        title: "This search cannot be served now",
        meaning: "The search took, or would take, more database time than searches are given. Rarer words are \
                  cheaper. `Retry-After` says when to try again.",
    },
    Documentation {
        name: "database_unavailable",
        status: StatusCode::SERVICE_UNAVAILABLE,
        title: "The catalogue cannot be reached",
        meaning: "The database does not answer and no cached answer is left. `Retry-After` says when to try again.",
    },
    Documentation {
        name: "overloaded",
        status: StatusCode::SERVICE_UNAVAILABLE,
        title: "Too many requests are in flight",
        meaning: "The service holds as many requests as it can answer in time. `Retry-After` says when to try again.",
    },
    Documentation {
        name: "timed_out",
        status: StatusCode::SERVICE_UNAVAILABLE,
        title: "The answer took too long",
        meaning: "The request reached its deadline. `Retry-After` says when to try again.",
    },
    Documentation {
        name: "invalid_event",
        status: StatusCode::BAD_REQUEST,
        title: "This is no event",
        meaning: "One or more fields of the event are missing or wrong, or its id is not the same everywhere. `params` names \
                  each of them with a code of its own. The same delivery never succeeds.",
    },
    Documentation {
        name: "invalid_signature",
        status: StatusCode::UNAUTHORIZED,
        title: "The event is not signed as it should be",
        meaning: "The signature is missing, made with another key or for another body, or its time is too far from the \
                  present. Sign it anew: id, time and body as they are sent.",
    },
    Documentation {
        name: "event_in_flight",
        status: StatusCode::CONFLICT,
        title: "The event is being applied",
        meaning: "Another delivery with this id is under way. `Retry-After` says when to ask again what became of it.",
    },
    Documentation {
        name: "event_conflict",
        status: StatusCode::UNPROCESSABLE_ENTITY,
        title: "The id belongs to another event",
        meaning: "An event with this id and another payload has taken effect. This one has not, and never will.",
    },
    Documentation {
        name: "body_too_large",
        status: StatusCode::PAYLOAD_TOO_LARGE,
        title: "The body is too large",
        meaning: "The request's body has more bytes than this path takes.",
    },
    Documentation {
        name: "not_configured",
        status: StatusCode::NOT_FOUND,
        title: "This partner is not configured",
        meaning: "The service was started without the settings that this path needs.",
    },
    Documentation {
        name: "partner_unreachable",
        status: StatusCode::BAD_GATEWAY,
        title: "A partner cannot be reached",
        meaning: "No connection to the partner, or one that broke, after all attempts. `detail` says which partner.",
    },
    Documentation {
        name: "partner_timed_out",
        status: StatusCode::GATEWAY_TIMEOUT,
        title: "A partner does not answer in time",
        meaning: "The partner was slower than a call to it may be, retries included.",
    },
    Documentation {
        name: "partner_failed",
        status: StatusCode::BAD_GATEWAY,
        title: "A partner fails",
        meaning: "The partner answered all attempts with an error of its own.",
    },
    Documentation {
        name: "partner_invalid",
        status: StatusCode::BAD_GATEWAY,
        title: "A partner's answer makes no sense",
        meaning: "The partner answered all attempts with something else than was agreed.",
    },
    Documentation {
        name: "partner_refused",
        status: StatusCode::BAD_GATEWAY,
        title: "A partner refuses our request",
        meaning: "The partner does not take our credentials, or does not know what it was asked for: a matter for the \
                  operators.",
    },
    Documentation {
        name: "partner_suspended",
        status: StatusCode::SERVICE_UNAVAILABLE,
        title: "A partner is left alone for a while",
        meaning: "The partner failed so often that it is not called now. `Retry-After` says when it will be.",
    },
    Documentation {
        name: "internal",
        status: StatusCode::INTERNAL_SERVER_ERROR,
        title: "Something failed that should not",
        meaning: "A defect of the service. Its operators find the request in the logs by its `x-request-id`, and the cause \
                  beside it.",
    },
];

impl Code {
    /// The code's row in the table of problems.
    #[must_use]
    pub(crate) fn documentation(self) -> &'static Documentation {
        &PROBLEMS[self as usize]
    }
}

/// In the extensions of a response that is an error of ours: the code of its problem, for the metric of requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ErrorType(pub(crate) &'static str);

/// An error on its way to the client.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    code: Code,
    detail: Cow<'static, str>,
    params: Vec<catalog::InvalidParam>,
    retry_after: Option<Duration>,
    call: Option<CallBody>,
}

impl Problem {
    /// A problem of this kind; `detail` says what happened this time, without any internal name.
    pub(crate) fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { code, detail: detail.into(), params: Vec::new(), retry_after: None, call: None }
    }

    /// A problem of this kind that names each bad parameter or field.
    pub(crate) fn naming(code: Code, params: Vec<catalog::InvalidParam>) -> Self {
        let names: Vec<_> = params.iter().map(|param| param.name.as_str()).collect();
        let detail = format!("Not valid: {}.", names.join(", "));
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

    /// Says what came of the call to a partner.
    #[must_use]
    pub(crate) fn with_call(mut self, call: CallBody) -> Self {
        self.call = Some(call);
        self
    }
}

impl From<catalog::InvalidQuery> for Problem {
    fn from(invalid: catalog::InvalidQuery) -> Self {
        Self::naming(Code::InvalidParameter, invalid.params)
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
    #[schema(example = "A parameter is not valid")]
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
    /// Each bad parameter, or each bad field of a body; there for `invalid_parameter` and `invalid_event` only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    params: Vec<ParamBody<'a>>,
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
#[derive(Serialize, ToSchema)]
#[schema(as = InvalidParam)]
struct ParamBody<'a> {
    /// The parameter's name, as it was sent.
    #[schema(example = "limit")]
    name: &'a str,
    /// What is wrong with it, for programs; stable.
    #[schema(example = "out_of_range")]
    code: &'a str,
    /// What is wrong with it, for people.
    #[schema(example = "must be a whole number from 1 to 100")]
    detail: &'a str,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Documentation { name, status, title, .. } = self.code.documentation();
        let params = self.params.iter();
        let body = ProblemBody {
            r#type: format!("/problems#{name}"),
            title,
            status: status.as_u16(),
            code: name,
            detail: &self.detail,
            params: params.map(|p| ParamBody { name: &p.name, code: p.code, detail: &p.detail }).collect(),
            outcome: self.call.as_ref().map(|call| call.outcome),
            attempts: self.call.as_ref().map(|call| call.attempts),
            breaker: self.call.as_ref().map(|call| call.breaker),
        };
        let mut response = (*status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.code == Code::InvalidSignature {
            // RFC 9110 wants a challenge with every 401; webhooks have no registered scheme.
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Webhook-Signature"));
        }
        if let Some(wait) = self.retry_after {
            headers.insert(RETRY_AFTER, whole_seconds(wait).into());
        }
        if status.is_server_error() {
            response.extensions_mut().insert(ErrorType(name));
        }
        response
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
    fn every_code_finds_its_own_row() {
        let names = [
            (Code::InvalidParameter, "invalid_parameter"),
            (Code::NotFound, "not_found"),
            (Code::MethodNotAllowed, "method_not_allowed"),
            (Code::BodyTooSlow, "body_too_slow"),
            (Code::MalformedBody, "malformed_body"),
            (Code::RateLimited, "rate_limited"),
            (Code::SearchUnavailable, "search_unavailable"),
            (Code::DatabaseUnavailable, "database_unavailable"),
            (Code::Overloaded, "overloaded"),
            (Code::TimedOut, "timed_out"),
            (Code::InvalidEvent, "invalid_event"),
            (Code::InvalidSignature, "invalid_signature"),
            (Code::EventInFlight, "event_in_flight"),
            (Code::EventConflict, "event_conflict"),
            (Code::BodyTooLarge, "body_too_large"),
            (Code::NotConfigured, "not_configured"),
            (Code::PartnerUnreachable, "partner_unreachable"),
            (Code::PartnerTimedOut, "partner_timed_out"),
            (Code::PartnerFailed, "partner_failed"),
            (Code::PartnerInvalid, "partner_invalid"),
            (Code::PartnerRefused, "partner_refused"),
            (Code::PartnerSuspended, "partner_suspended"),
            (Code::Internal, "internal"),
        ];
        assert_eq!(names.len(), PROBLEMS.len());
        for (code, name) in names {
            assert_eq!(code.documentation().name, name);
        }
    }

    #[test]
    fn waits_are_rounded_up_and_never_zero() {
        let waits = [0, 1, 1_000, 1_001].map(|ms| whole_seconds(Duration::from_millis(ms)));
        assert_eq!(waits, [1, 1, 1, 2]);
    }
}
