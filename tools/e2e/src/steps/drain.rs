//! Draining a node fails no request: the disruption budget lets pods go one after the other.

use std::time::Instant;

use anyhow::{Result, ensure};

use crate::cluster::ingress_node;
use crate::kubectl::{self, RELEASE, items};
use crate::report::{self, say};
use crate::suite::Suite;

pub(super) async fn run(suite: &Suite<'_>) -> Result<()> {
    // What has one replica only stays where it is: the ingress controller, the database and Redis beside it.
    let stays = ingress_node().await?;
    let pods = suite.api_pods().await?;
    let Some(node) = pods.iter().map(|pod| &pod.node).find(|node| **node != stays) else {
        let nodes = kubectl::json(&["get", "nodes"]).await?;
        ensure!(items(&nodes).len() == 1, "all API pods are on one node of {}", items(&nodes).len());
        say!("NOT RUN: this cluster has one node, draining takes two");
        return Ok(());
    };
    let here = pods.iter().filter(|pod| &pod.node == node).count();
    let drained = suite
        .under_load(async {
            let started = Instant::now();
            // Not what the cluster may have one of only, such as its DNS.
            let ours = format!("--pod-selector=app.kubernetes.io/instance={RELEASE}");
            let arguments = ["drain", node, &ours, "--delete-emptydir-data", "--force", "--timeout=180s"];
            kubectl::run(&arguments).await?;
            let deployment = format!("deployment/{RELEASE}-api");
            kubectl::run(&["rollout", "status", &deployment, "--timeout=120s"]).await?;
            Ok(started)
        })
        .await;
    kubectl::run(&["uncordon", node]).await?;
    report::done(&format!("{node} drained of {here} API pods, which run elsewhere"), drained?);
    Ok(())
}
