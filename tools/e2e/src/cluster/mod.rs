//! The clusters that these tests know how to work with: how images get in, how requests get in, how to break things.

mod kind;
mod local;

use std::path::Path;

use anyhow::{Result, ensure};
use tokio::process::Child;

use crate::command::Environment;
use crate::http::Target;
use crate::kubectl::{Kubectl, Pod, RELEASE, items, pod};

pub(crate) use kind::Kind;
pub(crate) use local::Local;

/// The host that the Ingress is for.
pub(crate) const INGRESS_HOST: &str = "farmlokal.test";

/// A cluster that runs.
#[derive(Debug)]
pub(crate) enum Cluster {
    /// kind, in Docker.
    Kind(Kind),
    /// `../shared/cluster`, without Docker.
    Local(Local),
}

/// Which cluster to look for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Choice {
    /// The kind cluster of the current kubeconfig, else the local one
    Auto,
    /// The kind cluster of the current kubeconfig
    Kind,
    /// ../shared/cluster
    Local,
}

/// A pod's port as it can be reached from here, for as long as this lives.
pub(crate) struct Reached {
    pub(crate) target: Target,
    _forward: Option<Child>,
}

/// There is no cluster to be had here; the text says what is missing.
#[derive(Debug)]
pub(crate) struct Missing(pub(crate) String);

impl Cluster {
    /// Finds a cluster, or brings the local one up.
    ///
    /// # Errors
    /// What is missing.
    pub(crate) async fn find(choice: Choice) -> Result<Cluster, Missing> {
        let kind = match choice {
            Choice::Local => Err(Missing("not asked for".into())),
            Choice::Auto | Choice::Kind => Kind::find().await,
        };
        match (choice, kind) {
            (_, Ok(kind)) => Ok(Cluster::Kind(kind)),
            (Choice::Kind, Err(missing)) => Err(missing),
            (Choice::Auto | Choice::Local, Err(Missing(no_kind))) => match Local::find().await {
                Ok(local) => Ok(Cluster::Local(local)),
                Err(Missing(no_local)) if choice == Choice::Local => Err(Missing(no_local)),
                Err(Missing(no_local)) => Err(Missing(format!("{no_kind}; {no_local}"))),
            },
        }
    }

    /// What it is, for the report.
    pub(crate) fn name(&self) -> String {
        match self {
            Cluster::Kind(kind) => kind.name(),
            Cluster::Local(local) => local.name(),
        }
    }

    /// KUBECONFIG and PATH for kubectl and helm.
    pub(crate) fn environment(&self) -> Environment {
        match self {
            Cluster::Kind(_) => Vec::new(),
            Cluster::Local(local) => local.environment.clone(),
        }
    }

    /// Makes an image of a release binary (or of whatever `profile` built) and loads it into every node.
    ///
    /// # Errors
    /// The image cannot be made.
    pub(crate) async fn add_image(&self, binary: &Path, name: &str) -> Result<()> {
        match self {
            Cluster::Kind(kind) => kind.add_image(name).await,
            Cluster::Local(local) => local.add_image(binary, name).await,
        }
    }

    /// The images of the database, Redis and of a pod with a shell and wget, made or found.
    ///
    /// # Errors
    /// One of them cannot be made.
    pub(crate) async fn other_images(&self) -> Result<[(&'static str, String); 3]> {
        match self {
            Cluster::Kind(_) => Ok(Kind::other_images()),
            Cluster::Local(local) => local.other_images().await,
        }
    }

    /// Whether it takes prebuilt binaries; otherwise images are built from source.
    pub(crate) fn takes_binaries(&self) -> bool {
        matches!(self, Cluster::Local(_))
    }

    /// The Service, as this machine reaches it.
    ///
    /// # Errors
    /// There is no such Service, or no way to it.
    pub(crate) async fn service(&self, kubectl: &Kubectl) -> Result<Target> {
        match self {
            Cluster::Kind(kind) => kind.service(kubectl).await,
            Cluster::Local(_) => {
                let address = kubectl.field(&format!("service/{RELEASE}-api"), ".spec.clusterIP").await?;
                Ok(Target::new(format!("{address}:80"), "service"))
            }
        }
    }

    /// The Ingress, as this machine reaches it.
    ///
    /// # Errors
    /// No ingress controller has taken it yet.
    pub(crate) async fn ingress(&self, kubectl: &Kubectl) -> Result<Target> {
        let address = match self {
            Cluster::Kind(kind) => kind.ingress_address(kubectl).await?,
            Cluster::Local(_) => {
                let path = ".status.loadBalancer.ingress[0].ip";
                let address = kubectl.field(&format!("ingress/{RELEASE}-api"), path).await?;
                ensure!(!address.is_empty(), "no ingress controller has given the Ingress an address");
                format!("{address}:80")
            }
        };
        Ok(Target::new(address, INGRESS_HOST))
    }

    /// A port of one pod.
    ///
    /// # Errors
    /// No way to it.
    pub(crate) async fn pod(&self, kubectl: &Kubectl, pod: &Pod, port: u16) -> Result<Reached> {
        match self {
            Cluster::Kind(_) => kind::forward(kubectl, pod, port).await,
            Cluster::Local(_) => {
                let target = Target::new(format!("{}:{port}", pod.address), &*pod.name);
                Ok(Reached { target, _forward: None })
            }
        }
    }

    /// SIGKILL to a container's first process, from the node's side: nobody is asked.
    ///
    /// # Errors
    /// There is no such container.
    pub(crate) async fn kill(&self, pod: &Pod) -> Result<()> {
        match self {
            Cluster::Kind(_) => kind::kill(pod).await,
            Cluster::Local(local) => local.kill(pod).await,
        }
    }

    /// SIGKILL to the API server; it is started again at once.
    ///
    /// # Errors
    /// It cannot be found.
    pub(crate) async fn kill_api_server(&self, kubectl: &Kubectl) -> Result<()> {
        match self {
            Cluster::Kind(_) => kind::kill_api_server(kubectl).await,
            Cluster::Local(local) => local.kill_api_server().await,
        }
    }

    /// Stops what [`Cluster::find`] started.
    ///
    /// # Errors
    /// It does not stop.
    pub(crate) async fn leave(&self) -> Result<()> {
        match self {
            Cluster::Kind(_) => Ok(()),
            Cluster::Local(local) => local.leave().await,
        }
    }
}

/// The ingress controller's pod.
///
/// # Errors
/// There is none.
pub(crate) async fn ingress_pod(kubectl: &Kubectl) -> Result<Pod> {
    for selector in ["app=traefik", "app.kubernetes.io/name=traefik"] {
        let list = kubectl.json(&["get", "pods", "--all-namespaces", "--selector", selector]).await?;
        if let Some(found) = items(&list).iter().find(|pod| pod["status"]["phase"] == "Running") {
            return Ok(pod(found));
        }
    }
    anyhow::bail!("no Traefik runs in this cluster; with kind: kubectl apply -k k8s/kind")
}

/// The ingress controller as pods reach it: both clusters have it in the same place.
///
/// # Errors
/// It is not there.
pub(crate) async fn ingress_from_pods(kubectl: &Kubectl) -> Result<String> {
    let address = "--output=jsonpath={.spec.clusterIP}";
    kubectl.run(&["get", "service", "traefik", "--namespace=kube-system", address]).await
}
