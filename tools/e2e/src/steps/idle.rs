//! What the controller costs while nothing happens, by its own metrics.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::kubectl;
use crate::report;
use crate::suite::Suite;

const WATCHED: Duration = Duration::from_secs(10);
/// Of 10^6 bytes.
const MEMORY_GOAL: f64 = 20.0;
/// Percent of a core.
const CPU_GOAL: f64 = 1.0;

pub(super) async fn run(suite: &Suite<'_>) -> Result<()> {
    let pods = kubectl::ready_pods("controller").await?;
    ensure!(!pods.is_empty(), "no controller");
    for pod in &pods {
        let metric = async |name| suite.metric(std::slice::from_ref(pod), name, "").await;
        let (started, before) = (Instant::now(), metric("process_cpu_seconds_total").await?);
        tokio::time::sleep(WATCHED).await;
        let used = metric("process_cpu_seconds_total").await? - before;
        let cpu = used * 100.0 / started.elapsed().as_secs_f64();
        let memory = metric("process_resident_memory_bytes").await? / 1e6;
        let leads = metric("farmlokal_controller_leader").await? > 0.0;
        let role = if leads { "the leader" } else { "another replica" };
        let (shown, reached) = (format!("{memory:.1} MB"), memory < MEMORY_GOAL);
        report::figure(&format!("memory of {role}"), &shown, "20 MB", reached);
        // Unlike time, it does not depend on how busy the machine is. Images that were there may be of a debug build.
        ensure!(reached || suite.cluster.args.images_are_there, "{role} takes {shown} of memory");
        report::figure(&format!("CPU of {role}"), &format!("{cpu:.2} %"), "1 %", cpu < CPU_GOAL);
    }
    Ok(())
}
