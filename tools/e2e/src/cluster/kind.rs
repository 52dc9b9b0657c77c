//! kind: a Kubernetes of Docker containers. On Linux its nodes are routed from this machine, pods are not.

use std::process::Stdio;

use anyhow::{Context as _, Result};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::{Missing, Reached};
use crate::command;
use crate::http::Target;
use crate::kubectl::{Kubectl, Pod, RELEASE, items, repository};

/// A port of every node that leads to the API.
const SERVICE_PORT: u16 = 30081;
const NODE_PORT: &str = "--output=jsonpath={.spec.ports[0].nodePort}";

/// The kind cluster of the current kubeconfig.
#[derive(Debug)]
pub(crate) struct Kind {
    cluster: String,
}

impl Kind {
    /// # Errors
    /// Docker, kind or such a cluster is not there.
    pub(super) async fn find() -> Result<Kind, Missing> {
        if output("docker", &["info"]).await.is_err() {
            return Err(Missing("no Docker here".into()));
        }
        if output("kind", &["version"]).await.is_err() {
            return Err(Missing("no kind here".into()));
        }
        let context = output("kubectl", &["config", "current-context"]).await.unwrap_or_default();
        match context.trim().strip_prefix("kind-") {
            Some(cluster) => Ok(Kind { cluster: cluster.to_owned() }),
            None => Err(Missing("the current kubeconfig names no kind cluster".into())),
        }
    }

    pub(super) fn name(&self) -> String {
        format!("the kind cluster {}", self.cluster)
    }

    /// Images are built from source, by the Dockerfile's target that is named like the binary.
    pub(super) async fn add_image(&self, name: &str) -> Result<()> {
        let binary = name.split('/').next_back().and_then(|name| name.split(':').next()).unwrap_or_default();
        let target = binary.strip_prefix("farmlokal-").unwrap_or(binary);
        let mut build = command::command("docker", &Vec::new());
        build.args(["build", "--target", target, "--tag", name, "."]).current_dir(repository());
        command::shown_run(build).await?;
        output("kind", &["load", "docker-image", "--name", &self.cluster, name]).await?;
        Ok(())
    }

    /// The images of k8s/dev, and a shell.
    pub(super) fn other_images() -> [(&'static str, String); 3] {
        [
            ("DATABASE", "docker.io/library/mysql:9.7.2".into()),
            ("REDIS", "docker.io/library/redis:8.2.2-alpine".into()),
            ("CLIENT", "docker.io/library/busybox:1.37.0".into()),
        ]
    }

    /// The chart's Service has no port on the nodes; another one beside it has.
    pub(super) async fn service(&self, kubectl: &Kubectl) -> Result<Target> {
        let service = kubectl.json(&["get", "service", &format!("{RELEASE}-api")]).await?;
        let port = json!({"port": 80, "targetPort": service["spec"]["ports"][0]["targetPort"], "nodePort": SERVICE_PORT});
        let manifest = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "e2e-api"},
            "spec": {"type": "NodePort", "selector": service["spec"]["selector"], "ports": [port]},
        });
        kubectl.apply(&manifest.to_string()).await?;
        Ok(Target::new(self.node_port(kubectl, SERVICE_PORT.into()).await?, "service"))
    }

    /// The ingress controller of `k8s/kind`.
    pub(super) async fn ingress_address(&self, kubectl: &Kubectl) -> Result<String> {
        let port = kubectl.run(&["get", "service", "traefik", "--namespace=kube-system", NODE_PORT]).await?;
        let port = port.parse().context("no ingress controller: kubectl apply -k k8s/kind")?;
        self.node_port(kubectl, port).await
    }

    /// A port of all nodes as this machine reaches it: as `k8s/kind/cluster.yaml` maps it, else, on Linux, on a node itself.
    async fn node_port(&self, kubectl: &Kubectl, port: u64) -> Result<String> {
        let node = format!("{}-control-plane", self.cluster);
        if let Ok(mapped) = output("docker", &["port", &node, &format!("{port}/tcp")]).await
            && let Some(mapped) = mapped.lines().next()
        {
            return Ok(mapped.to_owned());
        }
        let nodes = kubectl.json(&["get", "nodes"]).await?;
        let addresses = items(&nodes).first().and_then(|node| node["status"]["addresses"].as_array());
        let internal = addresses.and_then(|all| all.iter().find(|address| address["type"] == "InternalIP"));
        let address =
            internal.and_then(|internal| internal["address"].as_str()).context("nodes without addresses")?;
        Ok(format!("{address}:{port}"))
    }
}

/// A port of a pod, through the API server.
pub(super) async fn forward(kubectl: &Kubectl, pod: &Pod, port: u16) -> Result<Reached> {
    let mut forward = kubectl.command(&["port-forward", &format!("pod/{}", pod.name), &format!(":{port}")]);
    let mut child = forward.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
    // Forwarding from 127.0.0.1:34567 -> 5000
    let line = lines.next_line().await?.context("kubectl port-forward ended")?;
    let local = line.split(' ').nth(2).with_context(|| format!("kubectl port-forward: {line}"))?;
    let target = Target::new(local, &*pod.name);
    // Nobody must close the pipe: it says something about every connection.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Ok(Reached { target, _forward: Some(child) })
}

pub(super) async fn kill(pod: &Pod) -> Result<()> {
    let kill = ["ctr", "--namespace", "k8s.io", "tasks", "kill", "--signal", "SIGKILL", &pod.container];
    output("docker", &[&["exec", &*pod.node], &kill[..]].concat()).await?;
    Ok(())
}

/// The kubelet starts it again.
pub(super) async fn kill_api_server(kubectl: &Kubectl) -> Result<()> {
    let selector = "--selector=node-role.kubernetes.io/control-plane";
    let node =
        kubectl.run(&["get", "nodes", selector, "--output=jsonpath={.items[0].metadata.name}"]).await?;
    let kill = "crictl stop --timeout 0 $(crictl ps --quiet --name kube-apiserver)";
    output("docker", &["exec", &node, "sh", "-c", kill]).await?;
    Ok(())
}

async fn output(program: &str, arguments: &[&str]) -> Result<String> {
    let mut command = command::command(program, &Vec::new());
    command.args(arguments);
    command::output(command, "").await
}
