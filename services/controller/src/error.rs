//! Why a look at a `ProductCatalog` is taken again, and why a flush fails.

use std::time::Duration;

/// The longest that a call to the API server may take.
const API_TIMEOUT: Duration = Duration::from_secs(5);

/// Why the cache cannot be flushed. The text becomes a part of the status: it is the same for the same cause, and it never
/// holds a URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    #[error("Redis cannot be reached: {0}")]
    Unreachable(&'static str),
    #[error("Redis refused the flush: {0}")]
    Refused(String),
    #[error("Secret {0} is not in this namespace")]
    NoSecret(String),
    #[error("Secret {secret} has no key {key}")]
    NoSecretKey { secret: String, key: String },
    #[error("the controller may not read Secret {0}: name it in controller.redisSecrets of the chart")]
    SecretForbidden(String),
    #[error("key {key} of Secret {secret} is not usable: {why}")]
    NoUrl { secret: String, key: String, why: String },
    #[error("keyPattern {0:?} reaches beyond products:*")]
    Pattern(String),
}

impl Failure {
    /// As conditions and Events have it.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "RedisUnreachable",
            Self::Refused(_) => "RedisRefused",
            Self::NoSecret(_) => "SecretNotFound",
            Self::NoSecretKey { .. } => "SecretKeyNotFound",
            Self::SecretForbidden(_) => "SecretForbidden",
            Self::NoUrl { .. } => "RedisUrlInvalid",
            Self::Pattern(_) => "KeyPatternInvalid",
        }
    }
}

/// Why an object has to be looked at again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}")]
    Degraded(Failure),
    #[error("{0}")]
    Api(kube::Error),
    #[error("the API server did not answer in time")]
    Timeout,
    #[error("the lease is lost")]
    NotLeader,
}

impl Error {
    /// Waits for an answer of the API server, not for ever.
    pub(crate) async fn within<T>(call: impl Future<Output = kube::Result<T>>) -> Result<T, Self> {
        match tokio::time::timeout(API_TIMEOUT, call).await {
            Ok(answer) => answer.map_err(Self::Api),
            Err(_) => Err(Self::Timeout),
        }
    }

    /// A word for it, of few.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Degraded(failure) => failure.reason(),
            Self::Api(_) => "api",
            Self::Timeout => "timeout",
            Self::NotLeader => "not_leader",
        }
    }

    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Api(kube::Error::Api(status)) if status.code == 404)
    }
}
