//! Percentiles and medians.

use std::time::Duration;

/// Latencies of requests, ascending.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latencies(Vec<Duration>);

impl FromIterator<Duration> for Latencies {
    fn from_iter<I: IntoIterator<Item = Duration>>(times: I) -> Self {
        let mut times: Vec<Duration> = times.into_iter().collect();
        times.sort_unstable();
        Latencies(times)
    }
}

impl Latencies {
    /// Two cells of a table: the median and the 99th percentile in milliseconds.
    pub(crate) fn cells(&self) -> String {
        let [p50, p99] = [50, 99].map(|percent| self.percentile(percent));
        format!("{p50:.2} | {p99:.2}")
    }

    /// The smallest latency in milliseconds that `percent` of the requests did not exceed; zero without requests.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100);
        self.0.get(rank.saturating_sub(1)).copied().unwrap_or_default().as_secs_f64() * 1e3
    }
}

/// The middle of the values, of an even number the mean of the two in the middle; zero of none.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    match (values.len() / 2, values.len() % 2) {
        (0, 0) => 0.0,
        (middle, 0) => f64::midpoint(values[middle - 1], values[middle]),
        (middle, _) => values[middle],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_latencies_that_were_measured() {
        let latencies: Latencies = (1..=200).rev().map(Duration::from_millis).collect();
        let at = |percent| format!("{:.0}", latencies.percentile(percent));
        assert_eq!([50, 99, 100].map(at), ["100", "198", "200"]);
        assert!(Latencies::default().percentile(99).abs() < f64::EPSILON);
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert!((median([5.0, 1.0, 3.0]) - 3.0).abs() < f64::EPSILON);
        assert!((median([4.0, 1.0]) - 2.5).abs() < f64::EPSILON);
        assert!(median([]).abs() < f64::EPSILON);
    }
}
