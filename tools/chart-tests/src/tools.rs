//! Programs that are no crates: found on the machine, or built once where Go is, or taken out of a Debian package.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context as _, bail, ensure};

use crate::repository;

const STARLARK: &str = "go.starlark.net/cmd/starlark@v0.0.0-20260908191801-89a6a09411d5";

/// A program that tests run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// Renders and installs charts, in the version that the machine has.
    Helm,
    /// Helm 3, whatever the machine has.
    Helm3,
    /// Helm 4, whatever the machine has.
    Helm4,
    /// Checks objects against Kubernetes' schemas.
    Kubeconform,
    /// Checks and tests Prometheus rules and queries.
    Promtool,
    /// Checks GitHub workflows.
    Actionlint,
    /// Runs Starlark, the language of Tiltfiles.
    Starlark,
    /// Talks to clusters.
    Kubectl,
    /// Renders kustomizations, where there is no kubectl that does.
    Kustomize,
}

impl Tool {
    /// The program, ready for its arguments: from the PATH, else built by `go install` into `target/tools`, or unpacked
    /// there from Debian's package. Where none of that is possible there is
    /// `None` and one line, once, that says what is missing; the test is then to return.
    ///
    /// # Panics
    /// Where none of that is possible and `FARMLOKAL_REQUIRE_TOOLS` is set.
    #[must_use]
    pub fn command(self) -> Option<Command> {
        static FOUND: [OnceLock<Option<PathBuf>>; 9] = [const { OnceLock::new() }; 9];
        let found = FOUND[self as usize].get_or_init(|| {
            let found = self.on_path().map_or_else(|| self.fetch(), Ok);
            found.map_err(|error| skipped(self.name(), &error)).ok()
        });
        found.as_ref().map(Command::new)
    }

    /// The name of the program.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.about().0
    }

    /// The name, and what `go install` takes; kubectl and promtool cannot be built so.
    fn about(self) -> (&'static str, Option<&'static str>) {
        match self {
            Tool::Helm | Tool::Helm4 => ("helm", Some("helm.sh/helm/v4/cmd/helm@v4.3.1")),
            Tool::Helm3 => ("helm", Some("helm.sh/helm/v3/cmd/helm@v3.22.0")),
            Tool::Kubeconform => ("kubeconform", Some("github.com/yannh/kubeconform/cmd/kubeconform@v0.7.0")),
            Tool::Promtool => ("promtool", None),
            Tool::Actionlint => ("actionlint", Some("github.com/rhysd/actionlint/cmd/actionlint@v1.7.12")),
            // It has no releases: the version is a commit's.
            Tool::Starlark => ("starlark", Some(STARLARK)),
            Tool::Kubectl => ("kubectl", None),
            Tool::Kustomize => ("kustomize", Some("sigs.k8s.io/kustomize/kustomize/v5@v5.8.2")),
        }
    }

    /// Whether the machine has it: nothing is built or unpacked.
    #[must_use]
    pub fn is_there(self) -> bool {
        self.on_path().is_some()
    }

    pub(crate) fn on_path(self) -> Option<PathBuf> {
        let path = std::env::var_os("PATH").filter(|_| !matches!(self, Tool::Helm3 | Tool::Helm4))?;
        std::env::split_paths(&path).map(|folder| folder.join(self.name())).find(|program| program.is_file())
    }

    /// Into `target/tools`, once.
    fn fetch(self) -> anyhow::Result<PathBuf> {
        let name = self.name();
        let version = match self.about().1 {
            Some(module) => module.rsplit('@').next().unwrap_or_default(),
            None if self == Tool::Promtool => "debian",
            None => bail!("no {name} here: install it"),
        };
        let folder = repository(format!("target/tools/{name}-{version}"));
        fs::create_dir_all(&folder).with_context(|| format!("no {name}: {}", folder.display()))?;
        let folder = fs::canonicalize(folder)?;
        let lock = File::create(folder.join("lock")).context("a lock file")?;
        // Whoever comes second finds it there.
        lock.lock().context("a lock file")?;
        let program = folder.join(name);
        if program.is_file() {
            return Ok(program);
        }
        match self.about().1 {
            Some(module) => build(name, module, &folder)?,
            None => unpack(&folder, &program)?,
        }
        Ok(program)
    }
}

fn build(name: &str, wanted: &str, folder: &Path) -> anyhow::Result<()> {
    let mut go = Command::new("go");
    go.args(["install", "-trimpath", wanted]).current_dir("/").env("CGO_ENABLED", "0");
    go.env("GOBIN", folder).env_remove("GOOS").env_remove("GOARCH").env_remove("GOFLAGS");
    match Command::new("go").arg("version").output() {
        Ok(output) if output.status.success() => say(&format!("building {wanted}, once")),
        _ => bail!("no {name} here: install it, or Go, with which it is built ({wanted})"),
    }
    run(&mut go).with_context(|| format!("no {name} here, and it cannot be built"))
}

/// Without installing it: nothing is started, and it takes no rights.
fn unpack(folder: &Path, program: &Path) -> anyhow::Result<()> {
    let how = "no promtool here: install Prometheus (apt-get install prometheus, brew install prometheus)";
    if !Path::new("/usr/bin/apt-get").is_file() {
        bail!(how);
    }
    say("taking promtool out of the Debian package prometheus, once");
    let download =
        || run(Command::new("apt-get").args(["download", "-qq", "prometheus"]).current_dir(folder));
    // A fresh machine does not know yet what packages there are; only root may ask.
    let known = || run(Command::new("apt-get").args(["update", "-qq"]));
    download().or_else(|_| known().and_then(|()| download())).context(how)?;
    let files = fs::read_dir(folder)?.filter_map(|file| Some(file.ok()?.path()));
    let package = files.filter(|path| path.extension().is_some_and(|end| end == "deb")).max().context(how)?;
    let root = folder.join("root");
    run(Command::new("dpkg").arg("--extract").arg(&package).arg(&root)).context(how)?;
    fs::rename(root.join("usr/bin/promtool"), program).context(how)?;
    fs::remove_dir_all(root)?;
    fs::remove_file(package)?;
    Ok(())
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}", errors.lines().last().unwrap_or_default());
    Ok(())
}

/// Says what tests skip for want of this. Where all of them are to run, a test that skips would be green for nothing.
pub(crate) fn skipped(wanted: &str, error: &anyhow::Error) {
    assert!(std::env::var_os("FARMLOKAL_REQUIRE_TOOLS").is_none(), "{wanted} is required here: {error:#}");
    say(&format!("SKIPPED: {error:#}"));
}

/// Past the test harness, which would keep what a passing test prints.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "farmlokal-chart-tests: {line}");
}
