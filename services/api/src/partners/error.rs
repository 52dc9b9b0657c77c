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
    /// Its name in metrics, logs and spans.
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

/// A call without an answer that can be used.
#[derive(Clone, Debug)]
pub(crate) struct CallError {
    pub(crate) partner: Partner,
    /// What went wrong: the problem that clients see.
    pub(crate) code: Code,
    /// The HTTP status, where the partner gave one.
    pub(crate) status: Option<u16>,
    /// How long the partner, or what protects it, wants to be left alone.
    pub(crate) retry_after: Option<Duration>,
    /// More about it for logs, without any secret. Clients do not see it.
    pub(crate) cause: Option<Arc<str>>,
}

impl CallError {
    pub(crate) fn new(partner: Partner, code: Code) -> Self {
        Self { partner, code, status: None, retry_after: None, cause: None }
    }

    /// A call whose task panicked, which is a fault of ours: the log has it.
    pub(crate) fn from_panic(partner: Partner, panic: &tokio::task::JoinError) -> Self {
        tracing::error!(partner = partner.name(), error = %panic, "a call of a partner panicked");
        Self::new(partner, Code::PartnerFailed)
    }

    /// Whether the same call may well succeed a moment later.
    pub(crate) fn is_transient(&self) -> bool {
        use Code::{PartnerFailed, PartnerInvalid, PartnerTimedOut, PartnerUnreachable};
        matches!(self.code, PartnerUnreachable | PartnerTimedOut | PartnerFailed | PartnerInvalid)
    }

    /// Its name in metrics and spans.
    pub(crate) fn name(&self) -> &'static str {
        self.code.documentation().name.trim_start_matches("partner_")
    }

    /// What happened, for clients: a sentence without its end.
    fn what(&self) -> String {
        let what = match self.code {
            Code::PartnerUnreachable => "cannot be reached",
            Code::PartnerTimedOut => "did not answer in time",
            Code::PartnerFailed => "answered with an error of its own",
            Code::PartnerInvalid => "answered with something else than was agreed",
            Code::PartnerRefused => "refused the request",
            Code::PartnerSuspended => "failed too often: circuit breaker open",
            _ => "has as many calls in flight as it is given",
        };
        format!("{} {what}", self.partner.names().1)
    }
}

/// For logs, with the cause.
impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what())?;
        self.status.map_or(Ok(()), |status| write!(f, " (status {status})"))?;
        self.cause.as_ref().map_or(Ok(()), |cause| write!(f, ": {cause}"))
    }
}

impl From<CallError> for Problem {
    fn from(error: CallError) -> Self {
        let problem = Problem::new(error.code, format!("{}.", error.what()));
        match error.retry_after {
            Some(wait) => problem.retry_after(wait),
            None => problem,
        }
    }
}
