//! kubectl and helm, in the namespace of these tests.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::command::{self, output};

/// Everything happens in this namespace; it is removed at the end.
pub(crate) const NAMESPACE: &str = "farmlokal-e2e";
/// The release, and so the beginning of each object's name.
pub(crate) const RELEASE: &str = "farmlokal";

/// A pod, as far as these tests care.
#[derive(Clone, Debug)]
pub(crate) struct Pod {
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) node: String,
    /// The first container's id, without the runtime's name.
    pub(crate) container: String,
    pub(crate) restarts: u64,
}

/// A kubectl that has yet to be started, in the namespace.
pub(crate) fn command(arguments: &[&str]) -> tokio::process::Command {
    command::command("kubectl", &[&["--namespace", NAMESPACE], arguments].concat())
}

/// Runs kubectl; returns what it printed.
///
/// # Errors
/// It failed.
pub(crate) async fn run(arguments: &[&str]) -> Result<String> {
    output(command(arguments), "").await
}

/// Runs kubectl with `-o json`.
///
/// # Errors
/// It failed.
pub(crate) async fn json(arguments: &[&str]) -> Result<Value> {
    let text = run(&[arguments, &["--output", "json"]].concat()).await?;
    serde_json::from_str(&text).context("kubectl's JSON")
}

/// Applies a manifest.
///
/// # Errors
/// It was refused.
pub(crate) async fn apply(manifest: &str) -> Result<()> {
    output(command(&["apply", "--filename", "-"]), manifest).await?;
    Ok(())
}

/// Runs a command in a pod, or in one of a Deployment.
///
/// # Errors
/// It failed.
pub(crate) async fn exec(target: &str, words: &[&str]) -> Result<String> {
    run(&[&["exec", target, "--"], words].concat()).await
}

/// Runs helm in the namespace; returns what it printed.
///
/// # Errors
/// It failed.
pub(crate) async fn helm(arguments: &[&str]) -> Result<String> {
    output(command::command("helm", &[&["--namespace", NAMESPACE], arguments].concat()), "").await
}

/// The release's pods of this component that are ready and not on their way out, by name.
///
/// # Errors
/// They cannot be listed.
pub(crate) async fn ready_pods(component: &str) -> Result<Vec<Pod>> {
    let selector = format!("app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component={component}");
    let list = json(&["get", "pods", "--selector", &selector]).await?;
    let mut pods: Vec<Pod> = items(&list).iter().filter(|pod| is_ready(pod)).map(pod).collect();
    pods.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(pods)
}

/// An object's field, by JSON path.
///
/// # Errors
/// The object is not there.
pub(crate) async fn field(object: &str, path: &str) -> Result<String> {
    run(&["get", object, "--output", &format!("jsonpath={{{path}}}")]).await
}

/// The items of a list.
pub(crate) fn items(list: &Value) -> &[Value] {
    list["items"].as_array().map_or(&[], Vec::as_slice)
}

fn is_ready(pod: &Value) -> bool {
    pod["metadata"]["deletionTimestamp"].is_null() && condition(pod, "Ready")
}

/// Whether the condition of that type is `True`.
pub(crate) fn condition(object: &Value, kind: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array().map_or(&[][..], Vec::as_slice);
    conditions.iter().any(|condition| condition["type"] == kind && condition["status"] == "True")
}

/// What these tests care about in a pod.
pub(crate) fn pod(pod: &Value) -> Pod {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let container = &pod["status"]["containerStatuses"][0];
    let id = text(&container["containerID"]);
    Pod {
        name: text(&pod["metadata"]["name"]),
        address: text(&pod["status"]["podIP"]),
        node: text(&pod["spec"]["nodeName"]),
        container: id.rsplit('/').next().unwrap_or_default().to_owned(),
        restarts: container["restartCount"].as_u64().unwrap_or_default(),
    }
}

/// The repository: where the chart and these manifests are.
pub(crate) fn repository() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}
