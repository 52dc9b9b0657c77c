//! How a call to a partner fails, and what the client is told of it.

use std::fmt;
use std::sync::Arc;
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
        self.names().0
    }

    /// For metrics, and for people.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Oauth => ("oauth", "The token endpoint"),
            Self::ApiA => ("api_a", "API A"),
        }
    }
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallErrorKind {
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
    /// Not called: the breaker is open.
    BreakerOpen,
    /// Not called: enough calls are in flight already.
    Busy,
}

impl CallErrorKind {
    /// Its name in metrics and spans.
    pub(crate) fn name(self) -> &'static str {
        self.described().0
    }

    /// Its name, the problem that clients see, and the end of a sentence that begins with the partner.
    fn described(self) -> (&'static str, Code, &'static str) {
        match self {
            Self::Unreachable => ("unreachable", Code::PartnerUnreachable, "cannot be reached"),
            Self::TimedOut => ("timed_out", Code::PartnerTimedOut, "did not answer in time"),
            Self::Failed => ("failed", Code::PartnerFailed, "answered with an error of its own"),
            Self::Invalid => {
                ("invalid", Code::PartnerInvalid, "answered with something else than was agreed")
            }
            Self::Refused => ("refused", Code::PartnerRefused, "refused the request"),
            Self::BreakerOpen => {
                ("breaker_open", Code::PartnerSuspended, "failed too often: circuit breaker open")
            }
            Self::Busy => ("busy", Code::Overloaded, "has as many calls in flight as it is given"),
        }
    }
}

/// A call without an answer that can be used.
#[derive(Clone, Debug)]
pub(crate) struct CallError {
    pub(crate) partner: Partner,
    pub(crate) kind: CallErrorKind,
    /// The HTTP status, where the partner gave one.
    pub(crate) status: Option<u16>,
    /// How long the partner, or what protects it, wants to be left alone.
    pub(crate) retry_after: Option<Duration>,
    /// More about it for logs, without any secret. Clients do not see it.
    pub(crate) cause: Option<Arc<str>>,
}

impl CallError {
    pub(crate) fn new(partner: Partner, kind: CallErrorKind) -> Self {
        Self { partner, kind, status: None, retry_after: None, cause: None }
    }

    /// A call whose task panicked, which is a fault of ours: the log has it.
    pub(crate) fn from_panic(partner: Partner, panic: &tokio::task::JoinError) -> Self {
        tracing::error!(partner = partner.name(), error = %panic, "a call of a partner panicked");
        Self::new(partner, CallErrorKind::Failed)
    }

    /// Whether the same call may well succeed a moment later.
    pub(crate) fn is_transient(&self) -> bool {
        use CallErrorKind::{Failed, Invalid, TimedOut, Unreachable};
        matches!(self.kind, Unreachable | TimedOut | Failed | Invalid)
    }

    /// The stable code that clients see.
    pub(crate) fn code(&self) -> &'static str {
        self.kind.described().1.documentation().name
    }
}

/// For logs, with the cause.
impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.partner.names().1, self.kind.described().2)?;
        self.status.map_or(Ok(()), |status| write!(f, " (status {status})"))?;
        self.cause.as_ref().map_or(Ok(()), |cause| write!(f, ": {cause}"))
    }
}

impl From<CallError> for Problem {
    fn from(error: CallError) -> Self {
        let (_, code, what) = error.kind.described();
        let problem = Problem::new(code, format!("{} {what}.", error.partner.names().1));
        match error.retry_after {
            Some(wait) => problem.retry_after(wait),
            None => problem,
        }
    }
}
