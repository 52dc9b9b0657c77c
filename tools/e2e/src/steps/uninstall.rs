//! `helm uninstall` leaves nothing behind, in the namespace or outside.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::kubectl::{NAMESPACE, RELEASE, items};
use crate::suite::{CATALOG, Suite};
use crate::{report, stage, wait};

/// What is there without us: made by Kubernetes, or by these tests.
const OTHERS: [&str; 2] = ["kube-root-ca.crt", "default"];

pub(super) async fn run(suite: &Suite<'_>) -> Result<()> {
    suite.kubectl.run(&["delete", CATALOG, "--ignore-not-found"]).await?;
    suite.kubectl.helm(&["uninstall", RELEASE, "--wait", "--timeout", "2m"]).await?;
    let kinds =
        suite.kubectl.run(&["api-resources", "--verbs=list", "--namespaced", "--output=name"]).await?;
    // Events are history, metrics are no objects.
    let kinds =
        kinds.lines().filter(|kind| !kind.starts_with("events") && !kind.ends_with(".metrics.k8s.io"));
    let kinds = kinds.collect::<Vec<_>>().join(",");
    // Garbage collection has a word in this, Jobs' pods go some seconds after their Jobs.
    let nothing = wait::until("nothing left in the namespace", Duration::from_secs(60), async || {
        let left = names(suite, &["get", &kinds], |object| {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            let owner = object["metadata"]["ownerReferences"][0]["name"].as_str().unwrap_or_default();
            !OTHERS.contains(&name) && !name.starts_with("e2e-") && !owner.starts_with("e2e-")
        })
        .await?;
        if left.is_empty() { Ok(Some(())) } else { anyhow::bail!("left behind: {}", left.join(", ")) }
    });
    nothing.await?;
    // A cluster may itself be called farmlokal, its nodes too; and a definition of another's was there before.
    let before = stage::before(&suite.kubectl).await?;
    let outside = stage::outside(&suite.kubectl).await?;
    let left = outside.iter().filter(|object| ours(object)).map(stage::name);
    let left: Vec<String> = left.filter(|name| !before.contains(name)).collect();
    ensure!(left.is_empty(), "left behind in the cluster: {}", left.join(", "));
    report::say("nothing is left in the namespace, and nothing of ours in the cluster");
    Ok(())
}

/// Whether an object without a namespace came from our release: by helm's note, or by its name.
fn ours(object: &Value) -> bool {
    let metadata = &object["metadata"];
    match metadata["annotations"]["meta.helm.sh/release-namespace"].as_str() {
        Some(namespace) => namespace == NAMESPACE,
        None => {
            object["kind"] != "Namespace"
                && metadata["name"].as_str().unwrap_or_default().contains("farmlokal")
        }
    }
}

async fn names(suite: &Suite<'_>, arguments: &[&str], which: impl Fn(&Value) -> bool) -> Result<Vec<String>> {
    let list = suite.kubectl.json(arguments).await?;
    Ok(items(&list).iter().filter(|object| which(object)).map(stage::name).collect())
}
