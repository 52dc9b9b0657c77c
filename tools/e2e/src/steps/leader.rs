//! The leader killed in the middle of a flush, then once more with its pod, so that another one has to lead: the flush is
//! finished, no request fails.

use anyhow::Result;

use super::mid_flush;
use crate::kubectl::{self, Pod};
use crate::suite::Suite;
use crate::report::say;
use crate::{PATIENCE, wait};

const LEASE: &str = "lease/farmlokal-controller";

pub(super) async fn run(suite: &Suite<'_>) -> Result<()> {
    let killed = leader().await?.name;
    let kill = async |pod: &Pod| suite.cluster.kill(pod).await;
    mid_flush::strike(suite, "the leader", async || leader().await, kill).await?;
    say!("{killed} led before, {} leads now", leader().await?.name);

    // The same pod, started again, takes its lease back. With the pod gone another one has to.
    let deleted = leader().await?.name;
    let delete = async |pod: &Pod| delete(suite, pod).await;
    mid_flush::strike(suite, "the leading pod", async || leader().await, delete).await?;
    let holder = wait::until("another pod leads", PATIENCE, async || {
        let holder = holder().await?;
        Ok((!holder.is_empty() && !holder.starts_with(&deleted)).then_some(holder))
    })
    .await?;
    say!("{deleted} led before and is gone, {holder} leads now");
    leader().await.map(drop)
}

/// Killed first: a pod that is only deleted is told to end, and would give its lease back.
async fn delete(suite: &Suite<'_>, pod: &Pod) -> Result<()> {
    suite.cluster.kill(pod).await?;
    kubectl::run(&["delete", "pod", &pod.name, "--force", "--grace-period=0", "--wait=false"]).await?;
    Ok(())
}

/// The pod that holds the lease, once it is ready and another one is there to take over.
async fn leader() -> Result<Pod> {
    wait::until("a leader and another replica ready", PATIENCE, async || {
        let holder = holder().await?;
        let pods = kubectl::ready_pods("controller").await?;
        let replaceable = pods.len() > 1;
        Ok(pods.into_iter().find(|pod| replaceable && holder.starts_with(&pod.name)))
    })
    .await
}

async fn holder() -> Result<String> {
    kubectl::field(LEASE, ".spec.holderIdentity").await
}
