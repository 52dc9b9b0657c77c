//! What is there before the first step: a namespace with a database, Redis and a client in it, and nothing of an earlier run.

use std::fs::File;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::cluster::{Cluster, ingress_pod};
use crate::kubectl::{Kubectl, NAMESPACE, RELEASE, items, manifest};
use crate::{PATIENCE, report, wait};

const MANIFESTS: [&str; 3] = ["database.yaml", "redis.yaml", "client.yaml"];
/// The names of what was outside namespaces before the install. In the cluster, so that a run with `--only` has them too.
const BEFORE: &str = "e2e-before";

/// One run at a time on this machine; waits for another one.
///
/// # Errors
/// The lock file cannot be made.
pub(crate) fn lock() -> Result<File> {
    let path = std::env::temp_dir().join("farmlokal-e2e.lock");
    let file = File::create(&path).with_context(|| path.display().to_string())?;
    if file.try_lock().is_err() {
        report::say(format!("waiting for another run ({} is locked)", path.display()));
        file.lock().with_context(|| path.display().to_string())?;
    }
    Ok(file)
}

/// Whether an earlier run has left the release installed.
///
/// # Errors
/// helm fails.
pub(crate) async fn is_installed(kubectl: &Kubectl) -> Result<bool> {
    let list = kubectl.helm(&["list", "--deployed", "--short"]).await?;
    Ok(list.lines().any(|name| name == RELEASE))
}

/// Clears what an earlier run left, then brings up the database, Redis and the client.
///
/// # Errors
/// One of them does not come up.
pub(crate) async fn prepare(kubectl: &Kubectl, cluster: &Cluster) -> Result<()> {
    clear(kubectl).await?;
    kubectl.run(&["create", "namespace", NAMESPACE]).await?;
    for account in ["default", "e2e-nobody"] {
        if account != "default" {
            kubectl.run(&["create", "serviceaccount", account]).await?;
        }
        wait::until("the ServiceAccounts", PATIENCE, async || {
            kubectl.run(&["get", "serviceaccount", account]).await.map(Some)
        })
        .await?;
    }
    let images = cluster.other_images().await?;
    let node = ingress_pod(kubectl).await?.node;
    let mut values: Vec<(&str, &str)> = images.iter().map(|(name, image)| (*name, image.as_str())).collect();
    values.extend([("NODE", node.as_str()), ("PASSWORD", "not-a-secret")]);
    for name in MANIFESTS {
        kubectl.apply(&manifest(name, &values)?).await?;
    }
    for deployment in ["deployment/e2e-database", "deployment/e2e-redis"] {
        kubectl.run(&["rollout", "status", deployment, "--timeout=180s"]).await?;
    }
    kubectl.run(&["wait", "--for=condition=Ready", "pod/e2e-client", "--timeout=60s"]).await?;
    let names: Vec<String> = outside(kubectl).await?.iter().map(name).collect();
    let before = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": BEFORE}, "data": {"names": names.join("\n")},
    });
    kubectl.apply(&before.to_string()).await
}

/// The names of what was outside namespaces when the stage was prepared.
///
/// # Errors
/// It was not prepared.
pub(crate) async fn before(kubectl: &Kubectl) -> Result<Vec<String>> {
    let names = kubectl.field(&format!("configmap/{BEFORE}"), ".data.names").await?;
    Ok(names.lines().map(ToOwned::to_owned).collect())
}

/// All objects outside namespaces.
///
/// # Errors
/// They cannot be listed.
pub(crate) async fn outside(kubectl: &Kubectl) -> Result<Vec<Value>> {
    let kinds =
        kubectl.run(&["api-resources", "--verbs=list", "--namespaced=false", "--output=name"]).await?;
    // Metrics are no objects.
    let kinds = kinds.lines().filter(|kind| !kind.ends_with(".metrics.k8s.io")).collect::<Vec<_>>().join(",");
    Ok(items(&kubectl.json(&["get", &kinds]).await?).to_vec())
}

/// An object's kind and name.
pub(crate) fn name(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    format!("{}/{}", text(&object["kind"]), text(&object["metadata"]["name"]))
}

/// Removes the release and the namespace.
///
/// # Errors
/// They do not go.
pub(crate) async fn clear(kubectl: &Kubectl) -> Result<()> {
    kubectl
        .helm(&["uninstall", RELEASE, "--ignore-not-found", "--no-hooks", "--wait", "--timeout", "2m"])
        .await?;
    kubectl.run(&["delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=120s"]).await?;
    Ok(())
}
