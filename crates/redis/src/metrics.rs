use metrics::{Counter, Gauge, counter, describe_counter, describe_gauge, gauge};

const UP: &str = "farmlokal_redis_up";
const ERRORS: &str = "farmlokal_redis_errors_total";

/// Gives the metrics recorder the help text of every metric of this crate. Call it once, at start.
pub fn describe_metrics() {
    describe_gauge!(UP, "1 if Redis answers on this connection (cache, shared), 0 if requests skip it");
    describe_counter!(ERRORS, "Failed Redis operations of requests, timeouts included, by connection");
}

pub(crate) struct ConnectionMetrics {
    pub(crate) up: Gauge,
    pub(crate) errors: Counter,
}

impl ConnectionMetrics {
    pub(crate) fn new(connection: &'static str) -> Self {
        let up = gauge!(UP, "connection" => connection);
        up.set(0.0);
        Self { up, errors: counter!(ERRORS, "connection" => connection) }
    }
}
