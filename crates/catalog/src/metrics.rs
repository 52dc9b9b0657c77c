use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

pub(crate) const QUERY_DURATION: &str = "farmlokal_db_query_duration_seconds";
pub(crate) const QUEUE_REFUSED: &str = "farmlokal_db_queue_refused_total";
pub(crate) const READS: &str = "farmlokal_db_reads_total";
pub(crate) const REPLICA_UP: &str = "farmlokal_db_replica_up";
pub(crate) const REPLICA_LAG: &str = "farmlokal_db_replica_lag";

/// Gives the metrics recorder the help text of every metric of this crate. Call it once, at start.
pub fn describe_metrics() {
    describe_histogram!(QUERY_DURATION, Unit::Seconds, "Queries and their time, by statement");
    describe_counter!(
        QUEUE_REFUSED,
        "Calls that found the admission queue before the database full, or waited in it for too long"
    );
    describe_counter!(
        READS,
        "With a replica: reads by where they went (from: replica, primary) and why (reason): the replica was current; was \
         behind, busy, late, failed, or had no row (empty) and so could not tell how far it was; or was not asked (unused)"
    );
    describe_gauge!(REPLICA_UP, "1 while reads go to the replica: it answers and is at most a second behind");
    describe_gauge!(REPLICA_LAG, "Changes that the replica has not yet, 2^32 for a seed; NaN where unknown");
}
