use std::time::Duration;

use farmlokal_catalog::Level;
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::{EngineError, SearchError, SearchStatus};

const READY: &str = "farmlokal_search_ready";
const TOO_LARGE: &str = "farmlokal_search_too_large";
const DOCUMENTS: &str = "farmlokal_search_documents";
const POSITION: &str = "farmlokal_search_position";
const LAG: &str = "farmlokal_search_lag_seconds";
const BUILD: &str = "farmlokal_search_build_seconds";
const COMMITS: &str = "farmlokal_search_commits_total";
const MEMORY: &str = "farmlokal_search_memory_bytes";
const QUERIES: &str = "farmlokal_search_queries_total";
const DURATION: &str = "farmlokal_search_query_duration_seconds";
const REFUSED: &str = "farmlokal_search_refused_total";
const STALE: &str = "farmlokal_search_stale_total";
const RETRIED: &str = "farmlokal_search_fills_retried_total";

/// Gives the metrics recorder the help text of every metric of this crate. Call it once, at start.
pub fn describe_metrics() {
    describe_gauge!(READY, "1 if the search index answers, 0 before it is built and while it is replaced");
    describe_gauge!(TOO_LARGE, "1 if there is no search index because it would need more than SEARCH_MEMORY");
    describe_gauge!(DOCUMENTS, "Products in the search index");
    describe_gauge!(POSITION, "How many changes of the catalogue the search index has seen");
    describe_gauge!(LAG, Unit::Seconds, "How long the search index has not been up to date; 0 while it is");
    describe_gauge!(BUILD, Unit::Seconds, "How long the last build of the search index took");
    describe_counter!(
        COMMITS,
        "Changes, one or several at a time, that were made visible in the search index"
    );
    describe_gauge!(MEMORY, Unit::Bytes, "Size of the search index");
    describe_counter!(
        QUERIES,
        "Lists that the search index answered by how their words were read: as_written; prefix; typos; none, \
         without words"
    );
    describe_histogram!(DURATION, Unit::Seconds, "Time that an answer took, by kind (list, suggest)");
    describe_counter!(
        REFUSED,
        "Searches without an answer by reason: not_built; too_large; busy; deadline; unavailable, OpenSearch; failed, a \
         defect; database, which gave no rows"
    );
    describe_counter!(
        STALE,
        "Answers that may lack changes: OpenSearch did not have them within SEARCH_WAIT"
    );
    describe_counter!(RETRIED, "Searches asked again because the catalogue had changed meanwhile");
}

/// Shows every counter from the start: a rate cannot see the first of what it has not seen at zero.
pub(crate) fn register() {
    for level in Level::ALL.map(Some).into_iter().chain([None]) {
        counter!(QUERIES, "level" => label(level)).increment(0);
    }
    for reason in ["not_built", "too_large", "busy", "deadline", "unavailable", "failed", "database"] {
        counter!(REFUSED, "reason" => reason).increment(0);
    }
    counter!(COMMITS).increment(0);
    counter!(RETRIED).increment(0);
    counter!(STALE).increment(0);
}

fn label(level: Option<Level>) -> &'static str {
    match level {
        None => "none",
        Some(Level::AsWritten) => "as_written",
        Some(Level::Prefix) => "prefix",
        Some(Level::Typos) => "typos",
    }
}

/// Counts a list; its level is `None` without words.
pub(crate) fn count_list(level: Option<Level>) {
    counter!(QUERIES, "level" => label(level)).increment(1);
}

/// Records how long an answer took, or why there was none.
pub(crate) fn record(kind: &'static str, elapsed: Duration, refused: Option<&SearchError>) {
    let reason = match refused {
        None => return histogram!(DURATION, "kind" => kind).record(elapsed),
        Some(SearchError::Catalog(_)) => "database",
        Some(SearchError::Engine(error)) => match error {
            EngineError::NotBuilt => "not_built",
            EngineError::Busy => "busy",
            EngineError::Deadline => "deadline",
            EngineError::TooLarge => "too_large",
            EngineError::Unavailable(_) => "unavailable",
            EngineError::Failed(_) => "failed",
        },
    };
    counter!(REFUSED, "reason" => reason).increment(1);
}

pub(crate) fn count_retry() {
    counter!(RETRIED).increment(1);
}

/// Counts an answer that is stale.
pub(crate) fn count_stale(is_stale: bool) {
    counter!(STALE).increment(is_stale.into());
}

pub(crate) fn count_commit() {
    counter!(COMMITS).increment(1);
}

pub(crate) fn show_build(elapsed: Duration) {
    gauge!(BUILD).set(elapsed.as_secs_f64());
}

/// Shows the state of the index.
#[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
pub(crate) fn show(status: SearchStatus, documents: u64, memory: u64) {
    gauge!(READY).set(f64::from(u8::from(status == SearchStatus::Ready)));
    gauge!(TOO_LARGE).set(f64::from(u8::from(status == SearchStatus::TooLarge)));
    gauge!(DOCUMENTS).set(documents as f64);
    gauge!(MEMORY).set(memory as f64);
}

pub(crate) fn show_lag(lag: Duration) {
    gauge!(LAG).set(lag.as_secs_f64());
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
pub(crate) fn show_position(position: u64) {
    gauge!(POSITION).set(position as f64);
}
