//! The id of the request that a task works for. Every line that it logs carries the id.

use http::HeaderValue;
use tokio::task::futures::TaskLocalFuture;

tokio::task_local! {
    static CURRENT: Option<HeaderValue>;
}

/// Runs `future` for the request with this id, if there is one. A task that it spawns does not inherit the id, and gets it
/// from [`current`].
pub fn scope<F: Future>(id: Option<HeaderValue>, future: F) -> TaskLocalFuture<Option<HeaderValue>, F> {
    CURRENT.scope(id, future)
}

/// The id of the request that the caller works for.
#[must_use]
pub fn current() -> Option<HeaderValue> {
    CURRENT.try_with(Option::clone).ok().flatten()
}
