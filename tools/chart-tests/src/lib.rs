//! What the tests of the chart, the dashboards, the alerts and the manifests share: the programs that they run, and YAML.

mod render;
mod schemas;
mod tools;
pub mod yaml;

pub use render::{helm, kustomize};
pub use schemas::{NEW, OLDEST, kubeconform};
pub use tools::Tool;

use std::path::{Path, PathBuf};

/// A path inside the repository.
#[must_use]
pub fn repository(path: impl AsRef<Path>) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}
