//! Programs that are no crates: found on the machine, or built once where Go is.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context as _, bail};

use crate::repository;

/// A program that tests run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// Renders and installs charts.
    Helm,
    /// Checks objects against Kubernetes' schemas.
    Kubeconform,
    /// Checks and tests Prometheus rules and queries.
    Promtool,
    /// Checks GitHub workflows.
    Actionlint,
    /// Runs Starlark, the language of Tiltfiles.
    Starlark,
    /// Renders kustomizations.
    Kubectl,
}

impl Tool {
    /// The program, ready for its arguments: from the PATH, else from the local cluster's folder, else built by
    /// `go install` into `target/tools`. Where none of that is possible there is `None` and one line, once, that says what
    /// is missing; the test is then to return.
    #[must_use]
    pub fn command(self) -> Option<Command> {
        self.path().map(Command::new)
    }

    /// As [`Tool::command`], the path alone.
    #[must_use]
    pub fn path(self) -> Option<&'static Path> {
        static FOUND: [OnceLock<Option<PathBuf>>; 6] = [const { OnceLock::new() }; 6];
        let found = FOUND[self as usize].get_or_init(|| {
            let found = self.on_path().or_else(|| self.of_local_cluster()).map_or_else(|| self.build(), Ok);
            found.map_err(|error| say(&format!("SKIPPED: {error:#}"))).ok()
        });
        found.as_deref()
    }

    /// The name of the program.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Tool::Helm => "helm",
            Tool::Kubeconform => "kubeconform",
            Tool::Promtool => "promtool",
            Tool::Actionlint => "actionlint",
            Tool::Starlark => "starlark",
            Tool::Kubectl => "kubectl",
        }
    }

    /// What `go install` takes; kubectl cannot be built so, nor the releases of promtool that the alerts were tested with.
    fn module(self) -> Option<(&'static str, &'static str)> {
        Some(match self {
            Tool::Helm => ("helm.sh/helm/v4/cmd/helm", "v4.3.1"),
            Tool::Kubeconform => ("github.com/yannh/kubeconform/cmd/kubeconform", "v0.7.0"),
            Tool::Actionlint => ("github.com/rhysd/actionlint/cmd/actionlint", "v1.7.12"),
            // It has no releases.
            Tool::Starlark => ("go.starlark.net/cmd/starlark", "v0.0.0-20260908191801-89a6a09411d5"),
            Tool::Promtool | Tool::Kubectl => return None,
        })
    }

    fn on_path(self) -> Option<PathBuf> {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|folder| folder.join(self.name())).find(|program| program.is_file())
    }

    /// The folder that `cluster env` prepends to the PATH.
    fn of_local_cluster(self) -> Option<PathBuf> {
        let script = repository("../shared/cluster/cluster");
        let output = script.is_file().then(|| Command::new(script).arg("env").output().ok())??;
        let exports = String::from_utf8(output.stdout).ok()?;
        let (_, path) = exports.split_once("PATH=")?;
        let program = Path::new(path.split(':').next()?.trim_matches('\'')).join(self.name());
        program.is_file().then_some(program)
    }

    fn build(self) -> anyhow::Result<PathBuf> {
        let name = self.name();
        let (module, version) = self.module().with_context(|| format!("no {name} here: install it"))?;
        let folder = repository(format!("target/tools/{name}-{version}"));
        let program = folder.join(name);
        fs::create_dir_all(&folder).with_context(|| format!("no {name}: {}", folder.display()))?;
        let lock = File::create(folder.join("lock")).context("a lock file")?;
        // Whoever comes second finds it built.
        lock.lock().context("a lock file")?;
        if program.is_file() {
            return Ok(program);
        }
        let wanted = format!("{module}@{version}");
        let mut go = Command::new("go");
        go.args(["install", "-trimpath", &wanted]).current_dir("/").env("CGO_ENABLED", "0");
        go.env("GOBIN", fs::canonicalize(&folder)?)
            .env_remove("GOOS")
            .env_remove("GOARCH")
            .env_remove("GOFLAGS");
        match Command::new("go").arg("version").output() {
            Ok(output) if output.status.success() => say(&format!("building {wanted}, once")),
            _ => bail!("no {name} here: install it, or Go, with which it is built ({wanted})"),
        }
        let output = go.output().context("go install")?;
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            let last = errors.lines().last().unwrap_or_default();
            bail!("no {name} here, and `go install {wanted}` fails: {last}");
        }
        Ok(program)
    }
}

/// Past the test harness, which would keep what a passing test prints.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "farmlokal-k8s-tests: {line}");
}
