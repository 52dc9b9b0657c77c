use metrics::{Counter, counter, describe_counter};

const REPORTS: &str = "farmlokal_rate_limit_reports_total";
const WAITS: &str = "farmlokal_rate_limit_waits_total";

/// Gives the metrics recorder the help text of every metric of this crate. Call it once, at start.
pub fn describe_metrics() {
    describe_counter!(REPORTS, "Reports of admitted requests to Redis, by whether it heard them");
    describe_counter!(
        WAITS,
        "Requests that waited for a report, their replica being as far ahead as it may be"
    );
}

pub(crate) struct LimiterMetrics {
    pub(crate) heard: Counter,
    pub(crate) lost: Counter,
    pub(crate) waits: Counter,
}

impl LimiterMetrics {
    pub(crate) fn new() -> Self {
        Self {
            heard: counter!(REPORTS, "result" => "heard"),
            lost: counter!(REPORTS, "result" => "lost"),
            waits: counter!(WAITS),
        }
    }
}
