//! What is answered before any route is looked for.

use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse as _, Response};

use super::products::list_or_item_key;
use crate::app::{App, path_and_query};
use crate::middleware::EarlyAnswers;
use crate::problem::Problem;

impl EarlyAnswers for App {
    fn early(&self, uri: &Uri, headers: &HeaderMap) -> Option<Response> {
        // What was answered a moment ago, without reading the URI: the same URI always asks the same.
        match self.cache.get_local(path_and_query(uri)) {
            Some(lookup) => self.freshness.respond(&lookup, headers),
            None => refusal(self, uri),
        }
    }
}

/// The refusal of a request while too many wait for the database, unless a cache is likely to have the answer. A route would
/// cost as much again, and to ask Redis more than that.
fn refusal(app: &App, uri: &Uri) -> Option<Response> {
    if app.catalog.has_room() {
        return None;
    }
    let key = list_or_item_key(uri)?;
    (!app.cache.may_have(&key)).then(|| Problem::from(app.catalog.refuse()).into_response())
}
