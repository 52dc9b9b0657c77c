//! Which problem an error of the catalogue, and so of the database, is to a client.

use std::time::Duration;

use farmlokal_catalog::Error;
use tracing::{debug, error};

use super::{Code, Problem};

/// A retry that comes sooner finds the database no better.
const RETRY: Duration = Duration::from_secs(1);

/// Why the database cannot be used is logged once by [`Health`](crate::health::Health), and not for each request.
impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let problem = match &error {
            Error::Internal(source) => {
                error!(error = %source, "the catalogue failed");
                return Problem::new(Code::Internal, "The catalogue failed.");
            }
            Error::Deadline => Problem::new(Code::TimedOut, "The database took too long."),
            Error::Busy => Problem::new(Code::Overloaded, "Every database connection is in use."),
            Error::Unavailable(source) => {
                debug!(error = %source, "the database is not available");
                Problem::new(Code::DatabaseUnavailable, "The database does not answer.")
            }
            Error::SchemaMissing => {
                debug!("the database holds no catalogue");
                Problem::new(Code::DatabaseUnavailable, "The catalogue is being set up.")
            }
        };
        problem.retry_after(RETRY)
    }
}
