//! The cluster of the current kubeconfig: how images get in, where requests go, how to break things. Pods and Services are
//! routed from this machine: a port forwarded by the API server would break with it.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use tokio::net::TcpStream;

use crate::command::{command, output};
use crate::kubectl::{self, Pod, RELEASE, items, repository};
use crate::report::say;
use farmlokal_testing::http::Target;

/// The host that the Ingress is for.
pub(crate) const INGRESS_HOST: &str = "farmlokal.test";

/// What differs from cluster to cluster. A command is run by `sh -c`, and finds its arguments in $1, $2 and so on.
#[derive(Args, Clone, Debug)]
pub(crate) struct ClusterArgs {
    /// Command that loads images into the cluster; their names are its arguments. On kind `kind load docker-image`
    #[arg(long, env = "E2E_LOAD_IMAGES", global = true)]
    load_images: Option<String>,
    /// The images are in the cluster already: none is built or loaded
    #[arg(long, env = "E2E_IMAGES_ARE_THERE", global = true)]
    pub(crate) images_are_there: bool,
    /// Image with MySQL or MariaDB
    #[arg(long, env = "E2E_DATABASE_IMAGE", default_value = "docker.io/library/mysql:9.7.2", global = true)]
    pub(crate) database_image: String,
    /// Image with redis-server
    #[arg(
        long,
        env = "E2E_REDIS_IMAGE",
        default_value = "docker.io/library/redis:8.2.2-alpine",
        global = true
    )]
    pub(crate) redis_image: String,
    /// Image with a shell and busybox's wget
    #[arg(long, env = "E2E_CLIENT_IMAGE", default_value = "docker.io/library/busybox:1.37.0", global = true)]
    pub(crate) client_image: String,
    /// Command that sends SIGKILL to a container; its arguments are the node and the container's id. On kind `ctr`, by docker
    #[arg(long, env = "E2E_KILL_CONTAINER", global = true)]
    kill_container: Option<String>,
    /// Command that kills the API server, which is to be started again. On kind `crictl stop`, by docker
    #[arg(long, env = "E2E_KILL_API_SERVER", global = true)]
    kill_api_server: Option<String>,
}

/// A cluster that answers.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) args: ClusterArgs,
}

impl Cluster {
    /// The cluster of the current kubeconfig.
    ///
    /// # Errors
    /// It does not answer, or its pods and Services are not routed from this machine.
    pub(crate) async fn find(mut args: ClusterArgs) -> Result<Cluster> {
        let find =
            ["get", "service", "kubernetes", "--namespace=default", "--output=jsonpath={.spec.clusterIP}"];
        let address = kubectl::run(&find).await.context("no cluster here")?;
        let connect = tokio::time::timeout(Duration::from_secs(2), TcpStream::connect((&*address, 443)));
        let connected = connect.await.is_ok_and(|connected| connected.is_ok());
        ensure!(connected, "Services of this cluster are not routed from this machine: docs/development.md");
        let context = kubectl::run(&["config", "current-context"]).await.unwrap_or_default();
        if let Some(name) = context.trim().strip_prefix("kind-") {
            let or = |setting: &mut Option<String>, default| _ = setting.get_or_insert(default);
            or(&mut args.load_images, format!(r#"kind load docker-image --name {name} "$@""#));
            let kill = r#"docker exec "$1" ctr --namespace k8s.io tasks kill --signal SIGKILL "$2""#;
            or(&mut args.kill_container, kill.to_owned());
            let stop = "crictl stop --timeout 0 $(crictl ps --quiet --name kube-apiserver)";
            or(&mut args.kill_api_server, format!("docker exec {name}-control-plane sh -c '{stop}'"));
        }
        Ok(Cluster { args })
    }

    /// Builds the images `localhost/<package>:dev` by the Dockerfile and loads them, unless they are there.
    ///
    /// # Errors
    /// One cannot be built or loaded.
    pub(crate) async fn load_images(&self, packages: &[&str]) -> Result<()> {
        if self.args.images_are_there {
            return Ok(());
        }
        let images: Vec<String> = packages.iter().map(|package| format!("localhost/{package}:dev")).collect();
        for (package, image) in packages.iter().zip(&images) {
            let target = package.trim_start_matches("farmlokal-");
            let build = ["build", "--target", target, "--tag", image, "."];
            let status =
                command("docker", &build).current_dir(repository()).status().await.context("docker")?;
            ensure!(status.success(), "{image} cannot be built");
        }
        let images: Vec<&str> = images.iter().map(String::as_str).collect();
        shell(self.args.load_images.as_deref(), "--load-images or --images-are-there", &images).await?;
        say!("{}", images.join(", "));
        Ok(())
    }

    /// SIGKILL to a container's first process, from the node's side: nobody is asked.
    ///
    /// # Errors
    /// There is no such container.
    pub(crate) async fn kill(&self, pod: &Pod) -> Result<()> {
        shell(self.args.kill_container.as_deref(), "--kill-container", &[&pod.node, &pod.container]).await
    }

    /// SIGKILL to the API server; it is started again at once.
    ///
    /// # Errors
    /// It cannot be found.
    pub(crate) async fn kill_api_server(&self) -> Result<()> {
        shell(self.args.kill_api_server.as_deref(), "--kill-api-server", &[]).await
    }
}

async fn shell(snippet: Option<&str>, setting: &str, arguments: &[&str]) -> Result<()> {
    let snippet = snippet.with_context(|| format!("this cluster needs {setting}"))?;
    output(command("sh", &[&["-c", snippet, "sh"], arguments].concat()), "").await?;
    Ok(())
}

/// The API's Service.
///
/// # Errors
/// There is no such Service.
pub(crate) async fn service() -> Result<Target> {
    let address = kubectl::field(&format!("service/{RELEASE}-api"), ".spec.clusterIP").await?;
    Ok(Target { address: format!("{address}:80"), host: "service".to_owned() })
}

/// The Ingress: the ingress controller, asked for its host.
///
/// # Errors
/// There is no ingress controller.
pub(crate) async fn ingress() -> Result<Target> {
    let find =
        ["get", "service", "traefik", "--namespace=kube-system", "--output=jsonpath={.spec.clusterIP}"];
    Ok(Target { address: format!("{}:80", kubectl::run(&find).await?), host: INGRESS_HOST.to_owned() })
}

/// A port of one pod.
pub(crate) fn pod(pod: &Pod, port: u16) -> Target {
    Target { address: format!("{}:{port}", pod.address), host: pod.name.clone() }
}

/// The node of the ingress controller.
///
/// # Errors
/// There is none.
pub(crate) async fn ingress_node() -> Result<String> {
    for selector in ["app=traefik", "app.kubernetes.io/name=traefik"] {
        let list = kubectl::json(&["get", "pods", "--all-namespaces", "--selector", selector]).await?;
        if let Some(found) = items(&list).iter().find(|pod| pod["status"]["phase"] == "Running") {
            return Ok(kubectl::pod(found).node);
        }
    }
    anyhow::bail!("no Traefik runs in this cluster; with kind: kubectl apply -k k8s/kind")
}
