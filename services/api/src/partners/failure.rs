//! How a call to a partner fails, and what the client is told of it.

use std::fmt;
use std::time::Duration;

use crate::problem::{Code, Problem};

/// A service of somebody else that this one calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Partner {
    /// The token endpoint.
    Oauth,
    /// API A.
    ApiA,
}

impl Partner {
    /// Its name in metrics, logs and problems.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Oauth => "oauth",
            Self::ApiA => "api_a",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Oauth => "The token endpoint",
            Self::ApiA => "API A",
        }
    }
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// No connection, or one that broke.
    Unreachable,
    /// No answer in time.
    TimedOut,
    /// An answer that says that the partner itself fails: 5xx, 408, 425, 429.
    Failed,
    /// An answer that is not what was agreed.
    Invalid,
    /// An answer that says that we are wrong: any other status.
    Refused,
    /// Not called, because it failed too often: the breaker is open.
    Suspended,
    /// Not called, because enough calls are in flight already.
    Busy,
}

impl FailureKind {
    pub(crate) const ALL: [Self; 7] = [
        Self::Unreachable,
        Self::TimedOut,
        Self::Failed,
        Self::Invalid,
        Self::Refused,
        Self::Suspended,
        Self::Busy,
    ];

    /// Its name in metrics, logs and Redis.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
            Self::Failed => "failed",
            Self::Invalid => "invalid",
            Self::Refused => "refused",
            Self::Suspended => "suspended",
            Self::Busy => "busy",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    fn code(self) -> Code {
        match self {
            Self::Unreachable => Code::PartnerUnreachable,
            Self::TimedOut => Code::PartnerTimedOut,
            Self::Failed => Code::PartnerFailed,
            Self::Invalid => Code::PartnerInvalid,
            Self::Refused => Code::PartnerRefused,
            Self::Suspended => Code::PartnerSuspended,
            Self::Busy => Code::Overloaded,
        }
    }

    fn detail(self) -> &'static str {
        match self {
            Self::Unreachable => "cannot be reached.",
            Self::TimedOut => "did not answer in time.",
            Self::Failed => "answered with an error of its own.",
            Self::Invalid => "answered with something else than was agreed.",
            Self::Refused => "refused the request.",
            Self::Suspended => "failed too often and is left alone for a while.",
            Self::Busy => "has as many calls in flight as it is given.",
        }
    }
}

/// A call that came to nothing. It holds nothing that a client or a log must not see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) partner: Partner,
    pub(crate) kind: FailureKind,
    /// The HTTP status, where the partner gave one.
    pub(crate) status: Option<u16>,
    /// How long the partner, or what protects it, wants to be left alone.
    pub(crate) retry_after: Option<Duration>,
}

impl Failure {
    pub(crate) fn new(partner: Partner, kind: FailureKind) -> Self {
        Self { partner, kind, status: None, retry_after: None }
    }

    /// Whether the same call may well succeed a moment later.
    pub(crate) fn is_transient(&self) -> bool {
        use FailureKind::{Failed, Invalid, TimedOut, Unreachable};
        matches!(self.kind, Unreachable | TimedOut | Failed | Invalid)
    }

    /// The stable code that clients see.
    pub(crate) fn code(&self) -> &'static str {
        self.kind.code().documentation().name
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.partner.title(), self.kind.detail().trim_end_matches('.'))?;
        self.status.map_or(Ok(()), |status| write!(f, " (status {status})"))
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        let detail = format!("{} {}", failure.partner.title(), failure.kind.detail());
        let problem = Problem::new(failure.kind.code(), detail);
        match failure.retry_after {
            Some(wait) => problem.retry_after(wait),
            None => problem,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_finds_itself_by_its_name() {
        for kind in FailureKind::ALL {
            assert_eq!(FailureKind::from_name(kind.name()), Some(kind));
        }
        assert_eq!(FailureKind::from_name("else"), None);
    }
}
