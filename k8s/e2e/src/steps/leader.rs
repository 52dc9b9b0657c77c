//! The leader killed in the middle of a flush: the flush is finished, no request fails.

use anyhow::{Context as _, Result, ensure};

use super::mid_flush;
use crate::kubectl::Pod;
use crate::report;
use crate::suite::Suite;

const LEASE: &str = "lease/farmlokal-controller";

pub(super) async fn run(suite: &Suite<'_>) -> Result<()> {
    let leader = leader(suite).await?;
    mid_flush::strike(suite, "the leader", async || suite.cluster.kill(&leader).await).await?;
    let holder = suite.kubectl.field(LEASE, ".spec.holderIdentity").await?;
    ensure!(!holder.is_empty(), "nobody leads");
    report::say(format!("{} led before, {holder} leads now", leader.name));
    Ok(())
}

/// The pod that holds the lease.
async fn leader(suite: &Suite<'_>) -> Result<Pod> {
    let holder = suite.kubectl.field(LEASE, ".spec.holderIdentity").await?;
    let pods = suite.kubectl.ready_pods("controller").await?;
    ensure!(pods.len() > 1, "one replica has nobody to take over");
    pods.into_iter()
        .find(|pod| holder.starts_with(&pod.name))
        .with_context(|| format!("{holder} is no ready pod"))
}
