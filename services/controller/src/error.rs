//! Why a flush fails, and why a `ProductCatalog` is reconciled again.

use std::time::Duration;

/// The longest that a call to the API server may take.
pub(crate) const API_TIMEOUT: Duration = Duration::from_secs(5);

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

/// Why an object has to be reconciled again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Flush(FlushFailure),
    #[error(transparent)]
    Api(#[from] kube::Error),
}

/// Waits for an answer of the API server, at most for `limit`.
pub(crate) async fn answer_within<T>(
    limit: Duration,
    call: impl Future<Output = kube::Result<T>>,
) -> kube::Result<T> {
    let answered = tokio::time::timeout(limit, call).await;
    answered.unwrap_or_else(|_| Err(kube::Error::Service("the API server did not answer in time".into())))
}
