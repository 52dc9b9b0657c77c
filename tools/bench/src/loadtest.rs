//! Runs the k6 scripts against an API of its own, and tabulates what they report.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::environment::Environment;
use crate::k6::K6;
use crate::report::Report;
use crate::server::Server;

/// In the order in which they run: what fills the caches least goes first.
const SCRIPTS: [&str; 5] = ["cold", "deep", "search", "mixed", "hot"];

/// Fails when a threshold of a script is not met, after all of them have run.
pub(crate) async fn run(environment: &Environment, duration: &str) -> Result<()> {
    let k6 = K6::find(&environment.root)?;
    let api = Server::api(environment, &environment.database_url, &[]).await?;
    let command = format!("make loadtest ARGS=\"--duration {duration}\"");
    let mut report = Report::new("loadtest", "Load tests with k6", &command);
    report.say(&format!(
        "Each script for {duration} against one API process with default settings but for rate limits that no client reaches \
         (1,000,000 requests a second) and 1,000,000 products; k6 shares the \
         machine's cores with the API, the database and Redis. Failed are all requests without a 2xx or 3xx: refused \
         searches (503) and rate-limited requests (429) too. The thresholds: p95 < 200 ms, failed < 1 %, failed checks \
         < 1 %."
    ));
    let mut rows = Vec::new();
    let mut crossed = Vec::new();
    for script in SCRIPTS {
        let summary = environment.scratch("k6-summary.json");
        let mut command = k6.command(&environment.root)?;
        command.args(["run", "--quiet", "--no-usage-report", "--summary-export"]).arg(&summary);
        command.args([
            "--env",
            &format!("BASE_URL={}", api.url("")),
            "--env",
            &format!("DURATION={duration}"),
        ]);
        command.arg(format!("loadtest/{script}.js"));
        let status = tokio::process::Command::from(command).status().await?;
        // k6 ends with 99 when a threshold is crossed.
        ensure!(status.success() || status.code() == Some(99), "k6 failed on {script}.js ({status})");
        if !status.success() {
            crossed.push(script);
        }
        rows.push(row(script, &summary, status.success())?);
    }
    report.table(
        [
            "script",
            "clients",
            "requests/s",
            "p50 ms",
            "p95 ms",
            "p99 ms",
            "max ms",
            "failed",
            "checks failed",
            "met",
        ],
        rows,
    );
    report.finish(&environment.root)?;
    ensure!(crossed.is_empty(), "thresholds crossed: {}", crossed.join(", "));
    Ok(())
}

fn row(script: &str, summary: &Path, met: bool) -> Result<[String; 10]> {
    let summary: Value = serde_json::from_str(&fs::read_to_string(summary)?)?;
    let number = |metric: &str, value: &str| {
        summary["metrics"][metric][value]
            .as_f64()
            .with_context(|| format!("k6 reported no {value} of {metric}"))
    };
    let time = |value| number("http_req_duration", value).map(|ms| format!("{ms:.2}"));
    Ok([
        script.to_owned(),
        summary["metrics"]["vus_max"]["max"].to_string(),
        format!("{:.0}", number("http_reqs", "rate")?),
        time("med")?,
        time("p(95)")?,
        time("p(99)")?,
        time("max")?,
        format!("{:.2} %", 100.0 * number("http_req_failed", "value")?),
        format!("{:.2} %", 100.0 * (1.0 - number("checks", "value")?)),
        if met { "yes" } else { "no" }.to_owned(),
    ])
}
