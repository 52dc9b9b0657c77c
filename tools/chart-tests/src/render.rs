//! What helm and kustomize make of the repository's folders.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::{Tool, repository, yaml};

/// The objects of a kustomization, as `kubectl apply -k` would send them: by kubectl itself, else by kustomize, which is in it.
/// `None` where there is neither.
///
/// # Errors
/// What it says is wrong with it.
pub fn kustomize(folder: impl AsRef<Path>) -> Option<anyhow::Result<Vec<Value>>> {
    let (tool, verb) = match Tool::Kubectl.on_path() {
        Some(_) => (Tool::Kubectl, "kustomize"),
        None => (Tool::Kustomize, "build"),
    };
    let mut kustomize = tool.command()?;
    kustomize.arg(verb).arg(repository(folder));
    Some(objects(kustomize))
}

/// The objects that `helm template` makes with further arguments of its own. `None` where helm is missing.
///
/// # Errors
/// What helm says is wrong with the chart or its values.
pub fn helm(
    release: &str,
    chart: impl AsRef<Path>,
    arguments: &[impl AsRef<str>],
) -> Option<anyhow::Result<Vec<Value>>> {
    let mut helm = Tool::Helm.command()?;
    helm.args(["template", release]).arg(repository(chart)).args(arguments.iter().map(AsRef::as_ref));
    helm.current_dir(repository("."));
    Some(objects(helm))
}

fn objects(mut command: Command) -> anyhow::Result<Vec<Value>> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    yaml::documents(&String::from_utf8(output.stdout)?).with_context(|| format!("{command:?}"))
}
