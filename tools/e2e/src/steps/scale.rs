//! The HPA adds replicas under load.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::install::helm;
use crate::kubectl::{self, RELEASE};
use crate::suite::Suite;
use crate::{report, wait};

/// The metrics server measures every 10 to 60 s, the HPA looks every 15 s.
const PATIENCE: Duration = Duration::from_secs(240);
/// So low that a load which leaves the machine something to do is enough.
const VALUES: &str = "api.autoscaling.enabled=true,api.autoscaling.minReplicas=3,api.autoscaling.maxReplicas=4,\
                      api.autoscaling.targetCPUUtilizationPercentage=2";

pub(super) async fn run(suite: &Suite<'_>) -> Result<()> {
    helm("upgrade", &[VALUES]).await?;
    suite
        .under_load(async {
            let started = Instant::now();
            let hpa = format!("hpa/{RELEASE}-api");
            wait::until("the HPA asks for a fourth replica", PATIENCE, async || {
                let replicas: u64 = kubectl::field(&hpa, ".status.desiredReplicas").await?.parse()?;
                Ok((replicas > 3).then_some(()))
            })
            .await?;
            wait::until("the fourth replica is ready", PATIENCE, async || {
                Ok((kubectl::ready_pods("api").await?.len() > 3).then_some(()))
            })
            .await?;
            report::done("a fourth replica", started);
            Ok(())
        })
        .await
}
