//! What the controller counts.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

const LEADER: &str = "farmlokal_controller_leader";
const WATCH_UP: &str = "farmlokal_controller_watch_up";
const RECONCILES: &str = "farmlokal_controller_reconciles_total";
const RECONCILE_DURATION: &str = "farmlokal_controller_reconcile_duration_seconds";
const FLUSHES: &str = "farmlokal_controller_flushes_total";
const FLUSH_DURATION: &str = "farmlokal_controller_flush_duration_seconds";
const FLUSHED_KEYS: &str = "farmlokal_controller_flushed_keys_total";

/// How a reconcile ended.
pub(crate) const RESULTS: [&str; 6] = ["flushed", "unchanged", "suspended", "degraded", "failed", "gone"];

/// Gives every metric its help text and, where it counts, its first value: a rate over what is not there yet is nothing.
pub(crate) fn describe() {
    describe_gauge!(LEADER, "1 while this replica holds the lease and acts");
    describe_gauge!(WATCH_UP, "1 while this replica, as the leader, can watch ProductCatalogs");
    describe_counter!(
        RECONCILES,
        "Reconciles of a ProductCatalog by result: flushed; unchanged, no flush was pending; suspended; degraded, the flush \
         failed; failed, the API server did not take it; gone, deleted meanwhile"
    );
    describe_histogram!(RECONCILE_DURATION, Unit::Seconds, "Time of a reconcile of a ProductCatalog");
    describe_counter!(FLUSHES, "Flushes by result (ok, failed)");
    describe_histogram!(FLUSH_DURATION, Unit::Seconds, "Time of a flush that succeeded");
    describe_counter!(FLUSHED_KEYS, "Keys that flushes removed from Redis");
    leader(false);
    watch_up(false);
    for result in RESULTS {
        counter!(RECONCILES, "result" => result).increment(0);
    }
    for result in ["ok", "failed"] {
        counter!(FLUSHES, "result" => result).increment(0);
    }
    counter!(FLUSHED_KEYS).increment(0);
    // A handle is enough for a histogram to be shown.
    let _ = (histogram!(RECONCILE_DURATION), histogram!(FLUSH_DURATION));
}

pub(crate) fn leader(leads: bool) {
    gauge!(LEADER).set(if leads { 1.0 } else { 0.0 });
}

pub(crate) fn watch_up(is_up: bool) {
    gauge!(WATCH_UP).set(if is_up { 1.0 } else { 0.0 });
}

pub(crate) fn reconciled(result: &'static str, took: Duration) {
    counter!(RECONCILES, "result" => result).increment(1);
    histogram!(RECONCILE_DURATION).record(took);
}

pub(crate) fn flushed(keys: u64, took: Duration) {
    counter!(FLUSHES, "result" => "ok").increment(1);
    counter!(FLUSHED_KEYS).increment(keys);
    histogram!(FLUSH_DURATION).record(took);
}

pub(crate) fn flush_failed() {
    counter!(FLUSHES, "result" => "failed").increment(1);
}
