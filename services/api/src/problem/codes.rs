//! The table of problems: their codes, statuses and meanings.

use axum::http::StatusCode;

/// Everything that can go wrong, as a client sees it. The codes are stable; the texts are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    InvalidParameter,
    InvalidHost,
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
    InvalidationFailed,
    BodyTooLarge,
    UnsupportedMediaType,
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
pub(crate) const PROBLEMS: [Documentation; 26] = [
    Documentation {
        name: "invalid_parameter",
        status: StatusCode::BAD_REQUEST,
        title: "Invalid parameter",
        meaning: "One or more parameters are unknown, repeated, malformed, out of range or do not go together. \
                  `params` names each of them with a code of its own. The same request never succeeds.",
    },
    Documentation {
        name: "invalid_host",
        status: StatusCode::BAD_REQUEST,
        title: "Invalid Host header",
        meaning: "A request of HTTP/1.1 needs exactly one `Host` header field, with a host and perhaps a port.",
    },
    Documentation {
        name: "not_found",
        status: StatusCode::NOT_FOUND,
        title: "Not found",
        meaning: "No such product, or no such path.",
    },
    Documentation {
        name: "method_not_allowed",
        status: StatusCode::METHOD_NOT_ALLOWED,
        title: "Method not allowed",
        meaning: "The path exists, but not with this method. `Allow` lists the methods it has.",
    },
    Documentation {
        name: "body_too_slow",
        status: StatusCode::REQUEST_TIMEOUT,
        title: "Request body timeout",
        meaning: "The whole body has to arrive within some seconds. The same request may succeed on a better connection.",
    },
    Documentation {
        name: "malformed_body",
        status: StatusCode::BAD_REQUEST,
        title: "Malformed request body",
        meaning: "The body is not what its headers say: it ends too early, or its chunks are malformed.",
    },
    Documentation {
        name: "rate_limited",
        status: StatusCode::TOO_MANY_REQUESTS,
        title: "Too many requests",
        meaning: "The client has used up its quota. `RateLimit-Policy` says what it is allowed, `RateLimit` what it has \
                  left, and `Retry-After` when to try again.",
    },
    Documentation {
        name: "search_unavailable",
        status: StatusCode::SERVICE_UNAVAILABLE,
        title: "Search unavailable",
        meaning: "The process has no search index: it is still being built, and `Retry-After` says when to try again; \
                  or the catalogue is too large for it, a matter for the operators. Lists that need no search index, \
                  and single products, are served.",
    },
    Documentation {
        name: "database_unavailable",
        status: StatusCode::SERVICE_UNAVAILABLE,
        title: "Database unavailable",
        meaning: "The database does not answer and no cached answer is left. `Retry-After` says when to try again.",
    },
    Documentation {
        name: "overloaded",
        status: StatusCode::SERVICE_UNAVAILABLE,
        title: "Service overloaded",
        meaning: "The service holds as many requests as it can answer in time. `Retry-After` says when to try again.",
    },
    Documentation {
        name: "timed_out",
        status: StatusCode::SERVICE_UNAVAILABLE,
        title: "Timed out",
        meaning: "The request reached its deadline. `Retry-After` says when to try again.",
    },
    Documentation {
        name: "invalid_event",
        status: StatusCode::BAD_REQUEST,
        title: "Invalid event",
        meaning: "One or more fields of the event are missing or wrong, or its id is not the same everywhere. `params` names \
                  each of them with a code of its own. The same delivery never succeeds.",
    },
    Documentation {
        name: "invalid_signature",
        status: StatusCode::UNAUTHORIZED,
        title: "Invalid signature",
        meaning: "The signature is missing, made with another key or for another body, or its time is too far from the \
                  present. Sign it anew: id, time and body as they are sent.",
    },
    Documentation {
        name: "event_in_flight",
        status: StatusCode::CONFLICT,
        title: "Event in progress",
        meaning: "Another delivery with this id is under way. `Retry-After` says when to ask again what became of it.",
    },
    Documentation {
        name: "event_conflict",
        status: StatusCode::UNPROCESSABLE_ENTITY,
        title: "Event id already used",
        meaning: "An event with this id and another payload has taken effect. This one has not, and never will.",
    },
    Documentation {
        name: "invalidation_failed",
        status: StatusCode::SERVICE_UNAVAILABLE,
        title: "Cache not invalidated",
        meaning: "The event has taken effect, but Redis could not be told, so answers from before it may still be served. \
                  Deliver it again after `Retry-After`: it takes effect once.",
    },
    Documentation {
        name: "body_too_large",
        status: StatusCode::PAYLOAD_TOO_LARGE,
        title: "Request body too large",
        meaning: "The request's body has more bytes than this path takes.",
    },
    Documentation {
        name: "unsupported_media_type",
        status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
        title: "Unsupported media type",
        meaning: "The request's body is compressed, or of another type than this path takes. `detail` says which.",
    },
    Documentation {
        name: "not_configured",
        status: StatusCode::NOT_FOUND,
        title: "Partner not configured",
        meaning: "The service was started without the settings that this path needs.",
    },
    Documentation {
        name: "partner_unreachable",
        status: StatusCode::BAD_GATEWAY,
        title: "Partner unreachable",
        meaning: "No connection to the partner, or one that broke, after all attempts. `detail` says which partner.",
    },
    Documentation {
        name: "partner_timed_out",
        status: StatusCode::GATEWAY_TIMEOUT,
        title: "Partner timeout",
        meaning: "The partner was slower than a call to it may be, retries included.",
    },
    Documentation {
        name: "partner_failed",
        status: StatusCode::BAD_GATEWAY,
        title: "Partner error",
        meaning: "The partner answered all attempts with an error of its own.",
    },
    Documentation {
        name: "partner_invalid",
        status: StatusCode::BAD_GATEWAY,
        title: "Invalid partner response",
        meaning: "The partner answered all attempts with something that is not what its API describes.",
    },
    Documentation {
        name: "partner_refused",
        status: StatusCode::BAD_GATEWAY,
        title: "Partner refused the request",
        meaning: "The partner does not take our credentials, or does not know what it was asked for: a matter for the \
                  operators.",
    },
    Documentation {
        name: "partner_suspended",
        status: StatusCode::SERVICE_UNAVAILABLE,
        title: "Circuit breaker open",
        meaning: "The partner failed so often that it is not called now. `Retry-After` says when it will be.",
    },
    Documentation {
        name: "internal",
        status: StatusCode::INTERNAL_SERVER_ERROR,
        title: "Internal error",
        meaning: "A defect of the service. Its operators find the cause in the logs by the `x-request-id` of the response.",
    },
];

impl Code {
    /// The code's row in the table of problems.
    #[must_use]
    pub(crate) fn documentation(self) -> &'static Documentation {
        &PROBLEMS[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_finds_its_own_row() {
        let names = [
            (Code::InvalidParameter, "invalid_parameter"),
            (Code::InvalidHost, "invalid_host"),
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
            (Code::InvalidationFailed, "invalidation_failed"),
            (Code::BodyTooLarge, "body_too_large"),
            (Code::UnsupportedMediaType, "unsupported_media_type"),
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
}
