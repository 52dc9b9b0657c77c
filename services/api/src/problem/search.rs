//! Which problem an error of a search is to a client.

use farmlokal_search::{EngineError, SearchError};
use tracing::error;

use super::{Code, Problem};

impl From<SearchError> for Problem {
    fn from(error: SearchError) -> Self {
        let error = match error {
            SearchError::Catalog(error) => return error.into(),
            SearchError::Engine(error) => error,
        };
        let problem = match &error {
            EngineError::NotBuilt => {
                Problem::new(Code::SearchUnavailable, "The search index is being built.")
            }
            EngineError::Busy => Problem::new(Code::Overloaded, "Too many searches wait for a thread."),
            EngineError::Deadline => Problem::new(Code::TimedOut, "The search took too long."),
            EngineError::TooLarge { .. } => {
                let detail = "The catalogue is too large for the search index: the operators have to raise SEARCH_MEMORY.";
                Problem::new(Code::SearchUnavailable, detail)
            }
            EngineError::Failed(cause) => {
                error!(error = %cause, "the search index failed");
                Problem::new(Code::Internal, "The search index failed.")
            }
        };
        match error.retry_after() {
            Some(wait) => problem.retry_after(wait),
            None => problem,
        }
    }
}
