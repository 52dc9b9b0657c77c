//! A rolling update of the API fails no request.

use std::collections::HashSet;
use std::time::Instant;

use anyhow::{Result, ensure};

use crate::kubectl::{self, RELEASE};
use crate::report;
use crate::suite::Suite;

pub(super) async fn run(suite: &Suite<'_>) -> Result<()> {
    let before = names(suite).await?;
    suite
        .under_load_repeatedly(async || {
            let started = Instant::now();
            let deployment = format!("deployment/{RELEASE}-api");
            kubectl::run(&["rollout", "restart", &deployment]).await?;
            kubectl::run(&["rollout", "status", &deployment, "--timeout=180s"]).await?;
            report::done("all pods replaced", started);
            Ok(())
        })
        .await?;
    ensure!(names(suite).await?.is_disjoint(&before), "some pods are still the old ones");
    Ok(())
}

async fn names(suite: &Suite<'_>) -> Result<HashSet<String>> {
    Ok(suite.api_pods().await?.into_iter().map(|pod| pod.name).collect())
}
