//! Images of our own binaries, where there is no registry: built here, loaded into every node.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::Args;

use crate::cluster::Cluster;
use crate::kubectl::repository;
use crate::{command, report};

/// What binaries the images are made of.
#[derive(Args, Clone, Debug)]
pub(crate) struct ImageArgs {
    /// Cargo's profile for the binaries; `dev` uses what the tests have built already. Images for kind are always built by the
    /// Dockerfile, in its own profile
    #[arg(long, env = "E2E_PROFILE", default_value = "release", global = true)]
    pub(crate) profile: String,
    /// Take the binaries from this folder instead of building them
    #[arg(long, env = "E2E_BINARIES", global = true)]
    pub(crate) binaries: Option<PathBuf>,
}

impl ImageArgs {
    /// Whether they are surely of a release build: the Dockerfile's always are, a folder's may be anything.
    pub(crate) fn are_release(&self, cluster: &Cluster) -> bool {
        !cluster.takes_binaries() || (self.binaries.is_none() && self.profile == "release")
    }
}

/// Makes `localhost/<package>:dev` of each package and loads it.
///
/// # Errors
/// Something cannot be built.
pub(crate) async fn make(cluster: &Cluster, args: &ImageArgs, packages: &[&str]) -> Result<()> {
    let folder = match &args.binaries {
        Some(folder) => folder.clone(),
        None if cluster.takes_binaries() => build(&args.profile, packages).await?,
        None => PathBuf::new(),
    };
    for package in packages {
        let name = format!("localhost/{package}:dev");
        let binary =
            if cluster.takes_binaries() { strip(&folder.join(package)).await? } else { PathBuf::new() };
        cluster.add_image(&binary, &name).await?;
        report::say(&name);
    }
    Ok(())
}

/// Builds the binaries; returns where they are.
async fn build(profile: &str, packages: &[&str]) -> Result<PathBuf> {
    let mut cargo = command::command("cargo", &Vec::new());
    cargo.args(["build", "--locked", "--profile", profile]).current_dir(repository());
    for package in packages {
        cargo.args(["--package", package]);
    }
    command::shown_run(cargo).await?;
    let folder = if profile == "dev" { "debug" } else { profile };
    Ok(target().join(folder))
}

/// A copy without the sections for debuggers, which are most of a binary. Where there is no `strip`, the binary as it is.
async fn strip(binary: &Path) -> Result<PathBuf> {
    ensure!(binary.is_file(), "no binary {}", binary.display());
    let folder = target().join("images");
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let stripped = folder.join(binary.file_name().context("a binary without a name")?);
    let mut strip = command::command("strip", &Vec::new());
    strip.arg("--strip-debug").arg("-o").arg(&stripped).arg(binary);
    match command::output(strip, "").await {
        Ok(_) => Ok(stripped),
        Err(_) => Ok(binary.to_owned()),
    }
}

fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), PathBuf::from)
}
