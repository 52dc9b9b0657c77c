use std::time::{Duration, Instant};

use anyhow::Context as _;
use metrics::{Unit, describe_gauge, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;

/// Upper bounds of the duration histograms in seconds, from an in-process hit to the longest deadline. Alerts use 0.2, the
/// latency objective.
const DURATION_BUCKETS: [f64; 14] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0];

const UPTIME: &str = "farmlokal_uptime_seconds";
const BUILD: &str = "farmlokal_build_info";
/// How often histograms are folded into their buckets.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// The process's metrics, rendered on demand.
#[derive(Clone)]
pub struct Metrics {
    recorder: PrometheusHandle,
    process: Collector,
    started: Instant,
}

impl Metrics {
    /// All metrics in the Prometheus text format, version 0.0.4, the process's own (CPU seconds, resident bytes,
    /// start time, open files) among them.
    #[must_use]
    pub fn render(&self) -> String {
        self.process.collect();
        gauge!(UPTIME).set(self.started.elapsed().as_secs_f64());
        self.recorder.render()
    }

    /// Moves recorded durations into their buckets, again and again, which bounds memory: scrapes may be rare.
    pub async fn upkeep(self) -> ! {
        let mut ticks = tokio::time::interval(UPKEEP_EVERY);
        loop {
            ticks.tick().await;
            self.recorder.run_upkeep();
        }
    }
}

pub(crate) fn init() -> anyhow::Result<Metrics> {
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &DURATION_BUCKETS)
        .context("histogram buckets")?
        .install_recorder()
        .context("the metrics recorder")?;
    let process = Collector::default();
    process.describe();
    describe_gauge!(UPTIME, Unit::Seconds, "Time since the start of the process");
    describe_gauge!(BUILD, "1, with the version of the program");
    gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Ok(Metrics { recorder, process, started: Instant::now() })
}
