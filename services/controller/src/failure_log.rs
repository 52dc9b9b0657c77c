//! Failures that last: one log line for each category, and one when they are over.

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kube::core::Status;
use tracing::warn;

/// The categories of failures that were logged since the last success. Copies share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct FailureLog(Arc<Mutex<BTreeSet<String>>>);

impl FailureLog {
    /// True for the first failure of this category since the last success.
    #[must_use]
    pub(crate) fn is_new(&self, category: &str) -> bool {
        self.logged().insert(category.to_owned())
    }

    /// True for the first success after a failure.
    #[must_use]
    pub(crate) fn is_over(&self) -> bool {
        !std::mem::take(&mut *self.logged()).is_empty()
    }

    /// Logs that a call to the API server failed.
    pub(crate) fn api_failed(&self, what: &str, error: &(dyn Error + 'static)) {
        if self.is_new(&category(error)) {
            let cause = anyhow::Chain::new(error).last().map(ToString::to_string);
            warn!(%error, cause, "{what}: trying again");
        }
    }

    fn logged(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The category of a failed call to the API server: the status code that it answered with, or `unreachable`.
fn category(error: &(dyn Error + 'static)) -> String {
    let answer = anyhow::Chain::new(error).find_map(|error| error.downcast_ref::<Box<Status>>());
    answer.map_or_else(|| "unreachable".to_owned(), |status| status.code.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_category_is_new_once_until_it_is_over() {
        let log = FailureLog::default();
        assert!(!log.is_over());
        assert!(log.is_new("403") && log.is_new("unreachable"));
        assert!(!log.is_new("403") && !log.clone().is_new("unreachable"));
        assert!(log.is_over() && !log.is_over());
        assert!(log.is_new("403"));
    }

    #[test]
    fn an_answer_of_the_api_server_is_told_from_none() {
        let answer = kube::Error::Api(Box::new(Status::failure("no", "Forbidden").with_code(403)));
        assert_eq!(category(&answer), "403");
        assert_eq!(category(&kube::runtime::watcher::Error::WatchStartFailed(answer)), "403");
        let refused = kube::Error::Service("connection refused".into());
        assert_eq!(category(&refused), "unreachable");
    }
}
