//! Draining a node fails no request: the disruption budget lets pods go one after the other.

use std::time::Instant;

use anyhow::Result;

use crate::cluster::ingress_pod;
use crate::kubectl::{RELEASE, items};
use crate::report;
use crate::suite::Suite;

pub(super) async fn run(suite: &Suite<'_>) -> Result<()> {
    // What has one replica only stays where it is: the ingress controller, the database and Redis beside it.
    let stays = ingress_pod(&suite.kubectl).await?.node;
    let pods = suite.api_pods().await?;
    let Some(node) = pods.iter().map(|pod| &pod.node).find(|node| **node != stays) else {
        return report_one_node(suite).await;
    };
    let here = pods.iter().filter(|pod| &pod.node == node).count();
    let drained = suite
        .under_load(async {
            let started = Instant::now();
            let arguments =
                ["drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=180s"];
            suite.kubectl.run(&arguments).await?;
            let deployment = format!("deployment/{RELEASE}-api");
            suite.kubectl.run(&["rollout", "status", &deployment, "--timeout=120s"]).await?;
            Ok(started.elapsed())
        })
        .await;
    suite.kubectl.run(&["uncordon", node]).await?;
    report::say(format!(
        "{node} drained of {here} API pods, which run elsewhere after {}",
        report::time(drained?)
    ));
    Ok(())
}

/// Nothing to drain: said, and on a cluster that has a second node wrong.
async fn report_one_node(suite: &Suite<'_>) -> Result<()> {
    let nodes = suite.kubectl.json(&["get", "nodes"]).await?;
    anyhow::ensure!(
        items(&nodes).len() == 1,
        "all API pods are on one node, though there are {}",
        items(&nodes).len()
    );
    report::say("NOT RUN: this cluster has one node, draining takes two");
    Ok(())
}
