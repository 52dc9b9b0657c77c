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
        let error = match error {
            SearchError::Catalog(error) => return error.into(),
            SearchError::Engine(error) => error,
        };
        match error {
            EngineError::NotBuilt => {
                Problem::new(Code::SearchUnavailable, "The search index is being built.").retry_after(BUILD)
            }
            EngineError::Busy => {
                Problem::new(Code::Overloaded, "Too many searches wait for a thread.").retry_after(RETRY)
            }
            EngineError::Deadline => {
                Problem::new(Code::TimedOut, "The search took too long.").retry_after(RETRY)
            }
            // Another try fails as well.
            EngineError::TooLarge => {
                let detail = "The catalogue is too large for the search index: the operators have to raise SEARCH_MEMORY.";
                Problem::new(Code::SearchUnavailable, detail)
            }
            EngineError::Failed(cause) => {
                error!(error = %cause, "the search index failed");
                Problem::new(Code::Internal, "The search index failed.")
            }
        }
    }
}
