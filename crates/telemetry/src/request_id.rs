//! The id of the request that a task works for. Every line that it logs carries the id.

use http::HeaderValue;
use tokio::task::futures::TaskLocalFuture;

tokio::task_local! {
    static CURRENT: HeaderValue;
}

/// A future that knows its request.
pub type WithRequestId<F> = TaskLocalFuture<HeaderValue, F>;

/// Runs `future` for the request with this id. A task that it spawns has to be told again.
pub fn scope<F: Future>(id: HeaderValue, future: F) -> WithRequestId<F> {
    CURRENT.scope(id, future)
}

/// As [`scope`], for the request that somebody else works for, as [`current`] has named it to them.
pub async fn scope_of<F: Future>(id: Option<HeaderValue>, future: F) -> F::Output {
    match id {
        Some(id) => scope(id, future).await,
        None => future.await,
    }
}

/// The id of the request that the caller works for.
#[must_use]
pub fn current() -> Option<HeaderValue> {
    CURRENT.try_with(HeaderValue::clone).ok()
}
