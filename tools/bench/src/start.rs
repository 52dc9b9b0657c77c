//! From the start of the API's process to a `/readyz` that answers 200.

use std::time::Duration;

use anyhow::Result;

use crate::environment::Environment;
use crate::report::Report;
use crate::server::Server;
use crate::stats::Latencies;

const STARTS: usize = 20;

/// Starts the API again and again, with the database and Redis running.
pub(crate) async fn bench(environment: &Environment) -> Result<()> {
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..STARTS {
        times.push(Server::api(environment, &[]).await?.ready_after);
    }
    let latencies: Latencies = times.into_iter().collect();
    let [p50, p95, max] = [50, 95, 100].map(|percent| latencies.percentile(percent));
    let mut report = Report::new(environment, "start", "From start to ready", "bench start");
    report.say(&format!(
        "{STARTS} starts of the API, `/readyz` asked every millisecond: {p50:.1} ms at the median, {p95:.1} ms at the 95th \
         percentile, {max:.1} ms at the most."
    ));
    report.finish()
}
