//! What the controller costs while nothing happens, by its own metrics.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::report;
use crate::suite::Suite;

const WATCHED: Duration = Duration::from_secs(15);
/// Of 10^6 bytes.
const MEMORY_GOAL: f64 = 20.0;
/// Percent of a core.
const CPU_GOAL: f64 = 1.0;

pub(super) async fn run(suite: &Suite<'_>) -> Result<()> {
    let pods = suite.kubectl.ready_pods("controller").await?;
    ensure!(!pods.is_empty(), "no controller");
    let (started, mut before) = (Instant::now(), Vec::new());
    for pod in &pods {
        before.push(suite.pod_metric(pod, "process_cpu_seconds_total", &[]).await?);
    }
    tokio::time::sleep(WATCHED).await;
    for (pod, before) in pods.iter().zip(before) {
        let cpu = (suite.pod_metric(pod, "process_cpu_seconds_total", &[]).await? - before) * 100.0
            / started.elapsed().as_secs_f64();
        let memory = suite.pod_metric(pod, "process_resident_memory_bytes", &[]).await? / 1e6;
        let leads = suite.pod_metric(pod, "farmlokal_controller_leader", &[]).await? > 0.0;
        let role = if leads { "the leader" } else { "another replica" };
        report::figure(
            &format!("memory of {role}"),
            &format!("{memory:.1} MB"),
            "20 MB",
            memory < MEMORY_GOAL,
        );
        // Unlike time, it does not depend on how busy the machine is.
        ensure!(memory < MEMORY_GOAL || !suite.release, "{role} takes {memory:.1} MB of memory");
        report::figure(&format!("CPU of {role}"), &format!("{cpu:.2} %"), "1 %", cpu < CPU_GOAL);
    }
    Ok(())
}
