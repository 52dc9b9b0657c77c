//! The table of problems: their codes, statuses and meanings.

use axum::http::StatusCode;

/// A row of the table of problems: the code as clients see it, its HTTP status, and what it means.
pub(crate) struct Documentation {
    pub(crate) name: &'static str,
    pub(crate) status: StatusCode,
    pub(crate) title: &'static str,
    pub(crate) meaning: &'static str,
}

/// Makes [`Code`] and [`PROBLEMS`] of one table. The comment of a code is its meaning, which clients read.
macro_rules! problems {
    ($($(#[doc = $meaning:literal])+ $code:ident = ($name:literal, $status:ident, $title:literal),)+) => {
        /// Everything that can go wrong, as a client sees it. The names are stable; the texts are not.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Code {
            $($(#[doc = $meaning])+ $code,)+
        }

        /// The table of problems, in the order of [`Code`]. `/problems` serves it, and OpenAPI refers to it.
        pub(crate) const PROBLEMS: &[Documentation] = &[$(Documentation {
            name: $name,
            status: StatusCode::$status,
            title: $title,
            meaning: concat!($($meaning),+).trim_ascii_start(),
        }),+];
    };
}

problems! {
    /// One or more parameters are unknown, repeated, malformed, out of range or do not go together. `params` names each of
    /// them with a code of its own. The same request never succeeds.
    InvalidParameter = ("invalid_parameter", BAD_REQUEST, "Invalid parameter"),
    /// A request of HTTP/1.1 needs exactly one `Host` header field, with a host and perhaps a port.
    InvalidHost = ("invalid_host", BAD_REQUEST, "Invalid Host header"),
    /// The request needs a bearer token: `Authorization: Bearer` and an access token of the issuer.
    MissingToken = ("missing_token", UNAUTHORIZED, "Missing token"),
    /// The bearer token has expired, is for another service, or is not valid for another reason. Get a new one.
    InvalidToken = ("invalid_token", UNAUTHORIZED, "Invalid token"),
    /// The bearer token is valid, but does not have the scope that writes need.
    InsufficientScope = ("insufficient_scope", FORBIDDEN, "Insufficient scope"),
    /// The keys of the tokens' issuer are not known yet. `Retry-After` says when to try again.
    IssuerUnavailable = ("issuer_unavailable", SERVICE_UNAVAILABLE, "Token issuer unavailable"),
    /// One or more fields of the body are missing, unknown, repeated or wrong. `params` names each of them with a code of its
    /// own. The same request never succeeds.
    InvalidBody = ("invalid_body", BAD_REQUEST, "Invalid body"),
    /// The product is not as `If-Match` or `If-None-Match` wants it: it has changed, or is there, or is not. Nothing has
    /// changed. Get the product again and decide anew.
    PreconditionFailed = ("precondition_failed", PRECONDITION_FAILED, "Precondition failed"),
    /// One or more operations of the batch cannot be done, so none was. `params` names each by its index, with `not_found`,
    /// `precondition_failed` or `no_id_left`.
    BatchRefused = ("batch_refused", CONFLICT, "Batch refused"),
    /// Another request with this `Idempotency-Key` is under way. `Retry-After` says when to ask again what became of it.
    WriteInFlight = ("write_in_flight", CONFLICT, "Write in progress"),
    /// Another request with this `Idempotency-Key` has taken effect. This one has not: use a new key.
    IdempotencyConflict = ("idempotency_conflict", UNPROCESSABLE_ENTITY, "Idempotency key already used"),
    /// No id up to 2^53 - 1 is left for a new product: a matter for the operators. `PUT` with an id of one's own still works.
    NoIdLeft = ("no_id_left", INSUFFICIENT_STORAGE, "No id left"),
    /// No such product, or no such path.
    NotFound = ("not_found", NOT_FOUND, "Not found"),
    /// The path exists, but not with this method. `Allow` lists the methods it has.
    MethodNotAllowed = ("method_not_allowed", METHOD_NOT_ALLOWED, "Method not allowed"),
    /// The whole body has to arrive within some seconds. The same request may succeed on a better connection.
    BodyTooSlow = ("body_too_slow", REQUEST_TIMEOUT, "Request body timeout"),
    /// The body is not what its headers say: it ends too early, or its chunks are malformed.
    MalformedBody = ("malformed_body", BAD_REQUEST, "Malformed request body"),
    /// The client has used up its quota. `RateLimit-Policy` says what it is allowed, `RateLimit` what it has left, and
    /// `Retry-After` when to try again.
    RateLimited = ("rate_limited", TOO_MANY_REQUESTS, "Too many requests"),
    /// The process has no search index: it is still being built, and `Retry-After` says when to try again; or the catalogue
    /// is too large for it, a matter for the operators. Lists that need no search index, and single products, are served.
    SearchUnavailable = ("search_unavailable", SERVICE_UNAVAILABLE, "Search unavailable"),
    /// The database does not answer and no cached answer is left. `Retry-After` says when to try again.
    DatabaseUnavailable = ("database_unavailable", SERVICE_UNAVAILABLE, "Database unavailable"),
    /// The service holds as many requests as it can answer in time. `Retry-After` says when to try again.
    Overloaded = ("overloaded", SERVICE_UNAVAILABLE, "Service overloaded"),
    /// The request reached its deadline. `Retry-After` says when to try again.
    TimedOut = ("timed_out", SERVICE_UNAVAILABLE, "Timed out"),
    /// One or more fields of the event are missing or wrong, or its id is not the same everywhere. `params` names each of
    /// them with a code of its own. The same delivery never succeeds.
    InvalidEvent = ("invalid_event", BAD_REQUEST, "Invalid event"),
    /// The signature is missing, made with another key or for another body, or its time is too far from the present. Sign it
    /// anew: id, time and body as they are sent.
    InvalidSignature = ("invalid_signature", UNAUTHORIZED, "Invalid signature"),
    /// Another delivery with this id is under way. `Retry-After` says when to ask again what became of it.
    EventInFlight = ("event_in_flight", CONFLICT, "Event in progress"),
    /// An event with this id and another payload has taken effect. This one has not, and never will.
    EventConflict = ("event_conflict", UNPROCESSABLE_ENTITY, "Event id already used"),
    /// The event or the write has taken effect, but Redis could not be told, so answers from before it may still be served.
    /// Send it again after `Retry-After`: an event, and a write with an `Idempotency-Key`, takes effect once.
    InvalidationFailed = ("invalidation_failed", SERVICE_UNAVAILABLE, "Cache not invalidated"),
    /// The request's body has more bytes than this path takes.
    BodyTooLarge = ("body_too_large", PAYLOAD_TOO_LARGE, "Request body too large"),
    /// The request's body is compressed, or of another type than this path takes. `detail` says which.
    UnsupportedMediaType = ("unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "Unsupported media type"),
    /// The service was started without the settings that this path needs.
    NotConfigured = ("not_configured", NOT_FOUND, "Partner not configured"),
    /// No connection to the partner, or one that broke, after all attempts. `detail` says which partner.
    PartnerUnreachable = ("partner_unreachable", BAD_GATEWAY, "Partner unreachable"),
    /// The partner was slower than a call to it may be, retries included.
    PartnerTimedOut = ("partner_timed_out", GATEWAY_TIMEOUT, "Partner timeout"),
    /// The partner answered all attempts with an error of its own.
    PartnerFailed = ("partner_failed", BAD_GATEWAY, "Partner error"),
    /// The partner answered all attempts with something that is not what its API describes.
    PartnerInvalid = ("partner_invalid", BAD_GATEWAY, "Invalid partner response"),
    /// The partner does not take our credentials, or does not know what it was asked for: a matter for the operators.
    PartnerRefused = ("partner_refused", BAD_GATEWAY, "Partner refused the request"),
    /// The partner failed so often that it is not called now. `Retry-After` says when it will be.
    PartnerSuspended = ("partner_suspended", SERVICE_UNAVAILABLE, "Circuit breaker open"),
    /// A defect of the service. Its operators find the cause in the logs by the `x-request-id` of the response.
    Internal = ("internal", INTERNAL_SERVER_ERROR, "Internal error"),
}

impl Code {
    /// The code's row in the table of problems.
    #[must_use]
    pub(crate) fn documentation(self) -> &'static Documentation {
        &PROBLEMS[self as usize]
    }
}
