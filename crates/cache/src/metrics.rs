/// Gives the metrics recorder the help text of every metric of this crate. Call it once, at start.
pub fn describe_metrics() {}
