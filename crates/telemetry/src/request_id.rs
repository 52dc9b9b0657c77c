//! The id of the request that a task works for. Every line that it logs carries the id.

use http::HeaderValue;
use tokio::task::futures::TaskLocalFuture;
use tokio_util::either::Either;

tokio::task_local! {
    static CURRENT: HeaderValue;
}

/// A future with the id of a request.
pub type WithRequestId<F> = TaskLocalFuture<HeaderValue, F>;

/// Runs `future` with this request id. A task that it spawns does not inherit the id.
pub fn scope<F: Future>(id: HeaderValue, future: F) -> WithRequestId<F> {
    CURRENT.scope(id, future)
}

/// As [`scope`], with an id from [`current`] of another task.
pub fn scope_of<F: Future>(id: Option<HeaderValue>, future: F) -> Either<WithRequestId<F>, F> {
    match id {
        Some(id) => Either::Left(scope(id, future)),
        None => Either::Right(future),
    }
}

/// The id of the request that the caller works for.
#[must_use]
pub fn current() -> Option<HeaderValue> {
    CURRENT.try_with(HeaderValue::clone).ok()
}
