//! `../shared/cluster`: a Kubernetes of processes. Pods and Services are routed from this machine.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::Missing;
use crate::command::{self, Environment};
use crate::kubectl::{Pod, repository};
use crate::report;

/// Draining a node takes another one.
const NODES: &str = "2";
/// What a binary of ours needs beside itself.
const PACKAGES: &str = "libc6,ca-certificates";

/// The local cluster.
#[derive(Debug)]
pub(crate) struct Local {
    program: PathBuf,
    pub(super) environment: Environment,
    /// It ran before us, and goes on after us.
    was_up: bool,
}

impl Local {
    /// # Errors
    /// It is not there, or cannot run here.
    pub(super) async fn find() -> Result<Local, Missing> {
        let program = repository().join("../shared/cluster/cluster");
        let Ok(program) = program.canonicalize() else {
            return Err(Missing("no ../shared/cluster/cluster".into()));
        };
        let was_up = run(&program, &["status"]).await.is_ok();
        if !was_up {
            report::say("starting the local cluster (the first time builds it, 20 minutes or more)");
            let mut up = command::command(&program, &Vec::new());
            up.args(["up", "--nodes", NODES]);
            command::shown_run(up).await.map_err(|error| Missing(format!("no local cluster: {error:#}")))?;
        }
        let environment =
            environment(&program).await.map_err(|error| Missing(format!("no local cluster: {error:#}")))?;
        Ok(Local { program, environment, was_up })
    }

    pub(super) fn name(&self) -> String {
        format!("the local cluster ({})", if self.was_up { "was up" } else { "started" })
    }

    pub(super) async fn add_image(&self, binary: &Path, name: &str) -> Result<()> {
        let file = binary.file_name().and_then(|file| file.to_str()).context("a binary without a name")?;
        let spec = format!("{}=/{file}:755", binary.display());
        self.run(&["image", "--user", "65532", "--debian", PACKAGES, name, &spec]).await?;
        Ok(())
    }

    pub(super) async fn other_images(&self) -> Result<[(&'static str, String); 3]> {
        let (mysql, mariadb) = ("localhost/mysql:9.7", "localhost/mariadb:10.11");
        let packages = "mysql-server-core,mysql-client-core";
        let database = match self.run(&["image", mysql, "--suite", "sid", "--debian", packages]).await {
            Ok(_) => mysql,
            Err(error) => {
                // MySQL is in Debian's unstable suite only, which is not whole every day.
                report::say(format!("no MySQL image, MariaDB instead: {error:#}"));
                self.run(&["image", mariadb, "--debian", "mariadb-server"]).await?;
                mariadb
            }
        };
        let redis = "localhost/redis:7";
        self.run(&["image", redis, "--debian", "redis-server", "--user", "65532"]).await?;
        let named = |image: &str| image.to_owned();
        Ok([("DATABASE", named(database)), ("REDIS", named(redis)), ("CLIENT", named("localhost/busybox:1"))])
    }

    pub(super) async fn kill(&self, pod: &Pod) -> Result<()> {
        let socket = format!("/run/farmlokal-cluster/{}.sock", pod.node);
        let mut ctr = command::command("ctr", &self.environment);
        ctr.args(["--address", &socket, "--namespace", "k8s.io", "tasks", "kill", "--signal", "SIGKILL"]);
        ctr.arg(&pod.container);
        command::output(ctr, "").await?;
        Ok(())
    }

    pub(super) async fn kill_api_server(&self) -> Result<()> {
        self.run(&["kill", "1", "kube-apiserver"]).await?;
        Ok(())
    }

    pub(super) async fn leave(&self) -> Result<()> {
        if !self.was_up {
            self.run(&["down"]).await?;
        }
        Ok(())
    }

    async fn run(&self, arguments: &[&str]) -> Result<String> {
        run(&self.program, arguments).await
    }
}

async fn run(program: &Path, arguments: &[&str]) -> Result<String> {
    let mut cluster = command::command(program, &Vec::new());
    cluster.args(arguments);
    command::output(cluster, "").await
}

/// What `cluster env` exports.
async fn environment(program: &Path) -> Result<Environment> {
    let mut shell = command::command("bash", &Vec::new());
    shell.args(["-c", r#"eval "$("$0" env)"; printf '%s\n' "$KUBECONFIG" "$PATH""#]).arg(program);
    let said = command::output(shell, "").await?;
    let (kubeconfig, path) = said.trim_end().split_once('\n').context("cluster env says something else")?;
    Ok(vec![("KUBECONFIG".into(), kubeconfig.into()), ("PATH".into(), path.into())])
}
