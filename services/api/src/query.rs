//! What handlers share about queries and bodies.

use std::borrow::Cow;

use axum::http::Uri;
use farmlokal_catalog::{Error, InvalidParam, InvalidQuery, ListQuery};
use serde::Serialize;
use tracing::error;

use crate::problem::{Code, Problem};

/// A retry that comes sooner finds the database no better.
const DATABASE_RETRY: std::time::Duration = std::time::Duration::from_secs(1);

/// Bad parameters that are reported, as for lists.
const MAX_REPORTED: usize = 32;

/// The list query of a URI, valid and canonical from here on.
///
/// # Errors
/// `invalid_parameter`, with every parameter that is wrong.
pub(crate) fn list(uri: &Uri) -> Result<ListQuery, Problem> {
    Ok(ListQuery::parse(pairs(uri))?)
}

/// # Errors
/// `invalid_parameter` where the URI has a query: this path takes none.
pub(crate) fn refuse_parameters(uri: &Uri) -> Result<(), Problem> {
    let params: Vec<_> = pairs(uri)
        .take(MAX_REPORTED)
        .map(|(name, _)| InvalidParam {
            name: name.into_owned(),
            code: "unknown_parameter",
            detail: "this path takes no parameters".into(),
        })
        .collect();
    if params.is_empty() { Ok(()) } else { Err(InvalidQuery { params }.into()) }
}

fn pairs(uri: &Uri) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
}

/// The bytes of a response body.
///
/// # Errors
/// `internal`, which no representation of ours can cause.
pub(crate) fn json(body: &impl Serialize) -> Result<Box<[u8]>, Problem> {
    // Boxed, since the spare capacity of a vector would stay in memory as long as the answer.
    serde_json::to_vec(body).map(Vec::into_boxed_slice).map_err(|error| {
        error!(%error, "a response cannot be serialised");
        Problem::new(Code::Internal, "The answer cannot be written.")
    })
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match &error {
            Error::SearchRefused { reason, retry_after } => {
                Problem::new(Code::SearchUnavailable, format!("The search was refused: {reason}."))
                    .retry_after(*retry_after)
            }
            Error::Deadline => {
                Problem::new(Code::TimedOut, "The database took too long.").retry_after(DATABASE_RETRY)
            }
            Error::Busy => Problem::new(Code::Overloaded, "Every database connection is in use.")
                .retry_after(DATABASE_RETRY),
            Error::Unavailable(source) => {
                error!(error = %source, "the database is not available");
                Problem::new(Code::DatabaseUnavailable, "The database does not answer.")
                    .retry_after(DATABASE_RETRY)
            }
            Error::SchemaMissing => {
                error!("the database holds no catalogue: run the migrations");
                Problem::new(Code::DatabaseUnavailable, "The catalogue is being set up.")
                    .retry_after(DATABASE_RETRY)
            }
            Error::Internal(source) => {
                error!(error = %source, "the catalogue failed");
                Problem::new(Code::Internal, "The catalogue failed.")
            }
        }
    }
}
