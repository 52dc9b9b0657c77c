//! Which problem an error of a search is to a client.

use std::time::Duration;

use farmlokal_search::{EngineError, SearchError};
use tracing::error;

use super::{Code, Problem};

/// A retry that comes sooner finds no thread free.
const RETRY: Duration = Duration::from_secs(1);
/// An index takes about as long to build.
const BUILD: Duration = Duration::from_secs(5);

impl From<SearchError> for Problem {
    fn from(error: SearchError) -> Self {
        let (code, detail, wait) = match error {
            SearchError::Catalog(error) => return error.into(),
            SearchError::Engine(EngineError::NotBuilt) => {
                (Code::SearchUnavailable, "The search index is being built.", BUILD)
            }
            SearchError::Engine(EngineError::Busy) => {
                (Code::Overloaded, "Too many searches wait for a thread.", RETRY)
            }
            SearchError::Engine(EngineError::Deadline) => {
                (Code::TimedOut, "The search took too long.", RETRY)
            }
            // The log says why, once.
            SearchError::Engine(EngineError::Unavailable(_)) => {
                (Code::SearchUnavailable, "The search engine does not answer.", BUILD)
            }
            // Another try fails as well.
            SearchError::Engine(EngineError::TooLarge) => {
                let detail = "The catalogue is too large for the search index: the operators have to raise SEARCH_MEMORY.";
                return Problem::new(Code::SearchUnavailable, detail);
            }
            SearchError::Engine(EngineError::Failed(cause)) => {
                error!(error = %cause, "the search index failed");
                return Problem::new(Code::Internal, "The search index failed.");
            }
        };
        Problem::new(code, detail).retry_after(wait)
    }
}
