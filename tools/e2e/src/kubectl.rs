//! kubectl and helm, in the namespace of these tests.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::command::{self, Environment};

/// Everything happens in this namespace; it is removed at the end.
pub(crate) const NAMESPACE: &str = "farmlokal-e2e";
/// The release, and so the beginning of each object's name.
pub(crate) const RELEASE: &str = "farmlokal";

/// kubectl and helm for one cluster.
#[derive(Clone, Debug)]
pub(crate) struct Kubectl {
    environment: Environment,
}

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

impl Kubectl {
    /// `environment` names the cluster, by KUBECONFIG.
    pub(crate) fn new(environment: Environment) -> Kubectl {
        Kubectl { environment }
    }

    /// A kubectl that has yet to be started, in the namespace.
    pub(crate) fn command(&self, arguments: &[&str]) -> tokio::process::Command {
        let mut command = command::command("kubectl", &self.environment);
        command.arg("--namespace").arg(NAMESPACE).args(arguments);
        command
    }

    /// Runs kubectl; returns what it printed.
    ///
    /// # Errors
    /// It failed.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Result<String> {
        command::output(self.command(arguments), "").await
    }

    /// Runs kubectl with `-o json`.
    ///
    /// # Errors
    /// It failed.
    pub(crate) async fn json(&self, arguments: &[&str]) -> Result<Value> {
        let text = self.run(&[arguments, &["--output", "json"]].concat()).await?;
        serde_json::from_str(&text).context("kubectl's JSON")
    }

    /// Applies a manifest.
    ///
    /// # Errors
    /// It was refused.
    pub(crate) async fn apply(&self, manifest: &str) -> Result<()> {
        command::output(self.command(&["apply", "--filename", "-"]), manifest).await?;
        Ok(())
    }

    /// Runs a command in a pod, or in one of a Deployment.
    ///
    /// # Errors
    /// It failed.
    pub(crate) async fn exec(&self, target: &str, words: &[&str]) -> Result<String> {
        self.run(&[&["exec", target, "--"], words].concat()).await
    }

    /// Runs helm in the namespace; returns what it printed.
    ///
    /// # Errors
    /// It failed.
    pub(crate) async fn helm(&self, arguments: &[&str]) -> Result<String> {
        let mut helm = command::command("helm", &self.environment);
        helm.arg("--namespace").arg(NAMESPACE).args(arguments);
        command::output(helm, "").await
    }

    /// The release's pods of this component that are ready and not on their way out, by name.
    ///
    /// # Errors
    /// They cannot be listed.
    pub(crate) async fn ready_pods(&self, component: &str) -> Result<Vec<Pod>> {
        let selector =
            format!("app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component={component}");
        let list = self.json(&["get", "pods", "--selector", &selector]).await?;
        let mut pods: Vec<Pod> = items(&list).iter().filter(|pod| is_ready(pod)).map(pod).collect();
        pods.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(pods)
    }

    /// An object's field, by JSON path.
    ///
    /// # Errors
    /// The object is not there.
    pub(crate) async fn field(&self, object: &str, path: &str) -> Result<String> {
        self.run(&["get", object, "--output", &format!("jsonpath={{{path}}}")]).await
    }
}

/// The items of a list.
pub(crate) fn items(list: &Value) -> &[Value] {
    list["items"].as_array().map_or(&[], Vec::as_slice)
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array().map_or(&[][..], Vec::as_slice);
    pod["metadata"]["deletionTimestamp"].is_null()
        && conditions.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
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

/// Reads one of `tools/e2e`'s files and puts the images' names in.
///
/// # Errors
/// There is no such file, or it wants an image that nobody named.
pub(crate) fn manifest(name: &str, images: &[(&str, &str)]) -> Result<String> {
    let path = repository().join("tools/e2e/manifests").join(name);
    let mut text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    for (placeholder, image) in images {
        text = text.replace(&format!("${{{placeholder}}}"), image);
    }
    if let Some((_, rest)) = text.split_once("image: ${") {
        bail!("{name}: no image for {}", rest.split('}').next().unwrap_or_default());
    }
    Ok(text)
}
