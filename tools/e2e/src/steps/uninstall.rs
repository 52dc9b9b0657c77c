//! `helm uninstall` leaves nothing behind, in the namespace or outside, but the definition of ProductCatalog and the Lease.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::kubectl::{self, NAMESPACE, RELEASE, items};
use crate::suite::{CATALOG, Suite};
use crate::report::say;
use crate::wait;

/// What is there without us: made by Kubernetes, or by these tests.
const OTHERS: [&str; 2] = ["kube-root-ca.crt", "default"];

pub(super) async fn run(_: &Suite<'_>) -> Result<()> {
    kubectl::run(&["delete", CATALOG, "--ignore-not-found"]).await?;
    kubectl::helm(&["uninstall", RELEASE, "--wait", "--timeout", "2m"]).await?;
    // The controller has made it, so helm does not know it.
    kubectl::run(&["delete", "lease", &format!("{RELEASE}-controller")]).await?;
    let namespaced = kinds("--namespaced").await?;
    // Garbage collection has a word in this, Jobs' pods go some seconds after their Jobs.
    let nothing = wait::until("nothing left in the namespace", Duration::from_secs(60), async || {
        let left = names(&namespaced, |object| {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            let owner = object["metadata"]["ownerReferences"][0]["name"].as_str().unwrap_or_default();
            !OTHERS.contains(&name) && !name.starts_with("e2e-") && !owner.starts_with("e2e-")
        })
        .await?;
        if left.is_empty() { Ok(Some(())) } else { anyhow::bail!("left behind: {}", left.join(", ")) }
    });
    nothing.await?;
    // A cluster may itself be called farmlokal, its nodes too: helm's note says what is ours.
    let ours = |object: &Value| {
        object["metadata"]["annotations"]["meta.helm.sh/release-namespace"] == NAMESPACE
    };
    let left = names(&kinds("--namespaced=false").await?, ours).await?;
    ensure!(left.is_empty(), "left behind in the cluster: {}", left.join(", "));
    say!("nothing is left in the namespace, and nothing of ours in the cluster");
    Ok(())
}

/// All kinds but events, which are history, and metrics, which are no objects.
async fn kinds(which: &str) -> Result<String> {
    let kinds = kubectl::run(&["api-resources", "--verbs=list", "--output=name", which]).await?;
    let stay = |kind: &&str| !kind.starts_with("events") && !kind.ends_with(".metrics.k8s.io");
    Ok(kinds.lines().filter(stay).collect::<Vec<_>>().join(","))
}

/// Kind and name of the objects that these are.
async fn names(kinds: &str, which: impl Fn(&Value) -> bool) -> Result<Vec<String>> {
    let list = kubectl::json(&["get", kinds]).await?;
    let name = |object: &Value| format!("{}/{}", object["kind"], object["metadata"]["name"]).replace('"', "");
    Ok(items(&list).iter().filter(|object| which(object)).map(name).collect())
}
