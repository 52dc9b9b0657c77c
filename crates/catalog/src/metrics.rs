use metrics::{Unit, describe_counter, describe_histogram};

pub(crate) const QUERY_DURATION: &str = "farmlokal_db_query_duration_seconds";
pub(crate) const QUEUE_REFUSED: &str = "farmlokal_db_queue_refused_total";

/// Gives the metrics recorder the help text of every metric of this crate. Call it once, at start.
pub fn describe_metrics() {
    describe_histogram!(QUERY_DURATION, Unit::Seconds, "Queries and their time, by statement");
    describe_counter!(
        QUEUE_REFUSED,
        "Calls that found the admission queue before the database full, or waited in it for too long"
    );
}
