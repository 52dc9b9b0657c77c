//! What the controller costs while nothing happens, by its own metrics.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::report;
use crate::suite::Suite;

const WATCHED: Duration = Duration::from_secs(15);
const MEMORY_GOAL: f64 = 20.0;
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
        let memory = suite.pod_metric(pod, "process_resident_memory_bytes", &[]).await? / f64::from(1 << 20);
        let leads = suite.pod_metric(pod, "farmlokal_controller_leader", &[]).await? > 0.0;
        let role = if leads { "the leader" } else { "another replica" };
        report::figure(&format!("memory of {role}"), &format!("{memory:.1} MiB"), "20", memory < MEMORY_GOAL);
        report::figure(&format!("CPU of {role}"), &format!("{cpu:.2} %"), "1 %", cpu < CPU_GOAL);
    }
    Ok(())
}
