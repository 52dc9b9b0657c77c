//! Why a flush fails, and why a `ProductCatalog` is reconciled again.

use std::time::Duration;

/// The longest that a call to the API server may take.
const API_TIMEOUT: Duration = Duration::from_secs(5);

/// Why the cache cannot be flushed. The text is a part of the status: it is the same for the same cause, and never holds a
/// URL or words of the server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FlushFailure {
    #[error("Redis cannot be reached: {0}")]
    Unreachable(&'static str),
    #[error("Redis refused the flush: {0}")]
    Refused(String),
}

impl FlushFailure {
    /// As conditions and Events have it.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "RedisUnreachable",
            Self::Refused(_) => "RedisRefused",
        }
    }
}

/// Why a call to the API server failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error(transparent)]
    Kube(#[from] kube::Error),
    #[error("the API server did not answer in time")]
    Timeout,
}

impl ApiError {
    /// The status code that the API server answered with.
    pub(crate) fn code(&self) -> Option<u16> {
        if let Self::Kube(kube::Error::Api(status)) = self { Some(status.code) } else { None }
    }
}

/// Why an object has to be reconciled again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Flush(FlushFailure),
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error("the lease is lost")]
    NotLeader,
}

impl Error {
    /// The category, as spans have it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Flush(failure) => failure.reason(),
            Self::Api(ApiError::Kube(_)) => "api",
            Self::Api(ApiError::Timeout) => "timeout",
            Self::NotLeader => "not_leader",
        }
    }
}

/// Waits for an answer of the API server, but not for ever.
pub(crate) async fn answer<T>(call: impl Future<Output = kube::Result<T>>) -> Result<T, ApiError> {
    answer_within(API_TIMEOUT, call).await
}

/// As [`answer`], for at most `limit`.
pub(crate) async fn answer_within<T>(
    limit: Duration,
    call: impl Future<Output = kube::Result<T>>,
) -> Result<T, ApiError> {
    match tokio::time::timeout(limit, call).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(ApiError::Timeout),
    }
}
