/// Why a request may not do what it wants.
///
/// Logs and metrics may tell. The client gets [`Refused::error`] and no more: details help whoever forges tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no token.
    Missing,
    /// It is no signed JWT, or one of its members is not what it should be.
    Malformed,
    /// Its algorithm is none of ours, or not that of the key.
    Algorithm,
    /// The issuer has no such key.
    UnknownKey,
    /// The signature is not that of the key.
    Signature,
    /// It is from another issuer.
    Issuer,
    /// It is for another audience.
    Audience,
    /// It has expired, or never does.
    Expired,
    /// It is not valid yet, or was issued in the future.
    NotYet,
    /// It is not an access token, or asks for what is not understood here.
    Type,
    /// It is longer than 16 KiB.
    TooLarge,
    /// It does not have the scope.
    Scope,
    /// The issuer's keys are not known yet.
    Unavailable,
}

impl Refused {
    pub(crate) const ALL: [Refused; 13] = [
        Refused::Missing,
        Refused::Malformed,
        Refused::Algorithm,
        Refused::UnknownKey,
        Refused::Signature,
        Refused::Issuer,
        Refused::Audience,
        Refused::Expired,
        Refused::NotYet,
        Refused::Type,
        Refused::TooLarge,
        Refused::Scope,
        Refused::Unavailable,
    ];

    /// The reason in one word, for logs and metrics.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Refused::Missing => "missing",
            Refused::Malformed => "malformed",
            Refused::Algorithm => "algorithm",
            Refused::UnknownKey => "unknown_key",
            Refused::Signature => "signature",
            Refused::Issuer => "issuer",
            Refused::Audience => "audience",
            Refused::Expired => "expired",
            Refused::NotYet => "not_yet",
            Refused::Type => "type",
            Refused::TooLarge => "too_large",
            Refused::Scope => "scope",
            Refused::Unavailable => "unavailable",
        }
    }

    /// The `error` of the `WWW-Authenticate` header by [RFC 6750, 3.1](https://www.rfc-editor.org/rfc/rfc6750#section-3.1).
    /// `None` for a request without a token, whose header has no error, and for [`Refused::Unavailable`], which is
    /// not the client's fault.
    #[must_use]
    pub fn error(self) -> Option<&'static str> {
        match self {
            Refused::Missing | Refused::Unavailable => None,
            Refused::Scope => Some("insufficient_scope"),
            _ => Some("invalid_token"),
        }
    }
}
