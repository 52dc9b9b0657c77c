//! wrk, for the rate of one URL: it costs less CPU than any client written here, and shares two cores with the server.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::process::Command;

/// What wrk saw in one run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) requests: u64,
    pub(crate) duration: Duration,
    /// Broken connections, timeouts, and statuses other than 2xx and 3xx.
    pub(crate) failures: u64,
    /// In milliseconds.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

impl Run {
    /// Requests per second.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52 requests")]
    pub(crate) fn rate(&self) -> f64 {
        self.requests as f64 / self.duration.as_secs_f64()
    }
}

/// Asks for `url` over `connections` connections for `duration`, in two threads.
pub(crate) async fn run(url: &str, connections: u32, duration: Duration) -> Result<Run> {
    let script = std::env::temp_dir().join(format!("farmlokal-wrk-{}.lua", std::process::id()));
    std::fs::write(&script, include_str!("wrk.lua"))?;
    let output = Command::new("wrk")
        .args(["--threads", "2", "--latency", "--timeout", "10s"])
        .args(["--connections", &connections.to_string()])
        .args(["--duration", &format!("{}s", duration.as_secs())])
        .arg("--script")
        .arg(&script)
        .arg(url)
        .kill_on_drop(true)
        .output()
        .await
        .context("cannot run wrk: install it (apt-get install wrk, brew install wrk)")?;
    std::fs::remove_file(&script)?;
    ensure!(output.status.success(), "wrk: {}", String::from_utf8_lossy(&output.stderr).trim());
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find(|line| line.starts_with('{')).context("wrk reported nothing")?;
    let report: Value = serde_json::from_str(line)?;
    let number = |name: &str| report[name].as_u64().with_context(|| format!("wrk reported no {name}"));
    let time = |name: &str| number(name).map(|micros| Duration::from_micros(micros).as_secs_f64() * 1e3);
    Ok(Run {
        requests: number("requests")?,
        duration: Duration::from_micros(number("duration")?),
        failures: number("failures")?,
        p50: time("p50")?,
        p99: time("p99")?,
    })
}
