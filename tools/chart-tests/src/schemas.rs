//! Kubernetes' own schemas for kubeconform, made out of the OpenAPI document that the Go module has: kubeconform would
//! download them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::{Tool, repository, tools, yaml};

/// The oldest Kubernetes that the chart is for.
pub const OLDEST: &str = "1.29.15";
/// A new one.
pub const NEW: &str = "1.36.3";

/// kubeconform, strict: it fails for fields that there are not, and for kinds without a schema. `ProductCatalog` has one;
/// kinds of the Prometheus operator and of the Gateway API are skipped. `None` where kubeconform or the Go module cannot be had: one line says so,
/// and the test is to return.
///
/// # Panics
/// Where they cannot be had and `FARMLOKAL_REQUIRE_TOOLS` is set.
#[must_use]
pub fn kubeconform(kubernetes: &'static str) -> Option<Command> {
    static SCHEMAS: Mutex<BTreeMap<&str, Option<PathBuf>>> = Mutex::new(BTreeMap::new());
    let mut kubeconform = Tool::Kubeconform.command()?;
    let mut all = SCHEMAS.lock().unwrap_or_else(PoisonError::into_inner);
    let schemas = all.entry(kubernetes).or_insert_with(|| {
        let found = schemas(kubernetes).context("no schemas for kubeconform");
        found.map_err(|error| tools::skipped("kubeconform's schemas", &error)).ok()
    });
    let location = schemas.as_ref()?.join("{{.ResourceKind}}{{.KindSuffix}}.json");
    kubeconform.args(["-strict", "-summary", "-skip", "HTTPRoute,PodMonitor,PrometheusRule,ServiceMonitor"]);
    kubeconform.arg("-schema-location").arg(location);
    Some(kubeconform)
}

/// The folder with a file for each kind.
fn schemas(kubernetes: &str) -> anyhow::Result<PathBuf> {
    let folder = repository(format!("target/tools/schemas-{}-{kubernetes}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let folder = fs::canonicalize(folder)?;
    let document: Value = serde_json::from_slice(&fs::read(openapi(kubernetes)?)?)?;
    let mut definitions = document["definitions"].as_object().context("no definitions")?.clone();
    let all = folder.join("all.json");
    for (name, definition) in &mut definitions {
        for group in definition["x-kubernetes-group-version-kind"].as_array().into_iter().flatten() {
            let reference = json!({"$ref": format!("file://{}#/definitions/{name}", all.display())});
            write(&folder, group, &reference)?;
        }
        tighten(name, definition);
    }
    fs::write(&all, json!({"definitions": definitions}).to_string())?;
    let crd = fs::read_to_string(repository("charts/farmlokal/crds/productcatalogs.yaml"))?;
    let crd = yaml::document(&crd)?;
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let group = json!({"kind": "ProductCatalog", "group": "farmlokal.dev", "version": "v1alpha1"});
    write(&folder, &group, schema)?;
    Ok(folder)
}

/// The OpenAPI document of this Kubernetes.
fn openapi(kubernetes: &str) -> anyhow::Result<PathBuf> {
    let name = format!("k8s.io/kubernetes@v{kubernetes}");
    let mut go = Command::new("go");
    let output =
        go.args(["mod", "download", "-json", &name]).current_dir("/").output().context("no Go here")?;
    ensure!(output.status.success(), "go mod download {name}: {}", String::from_utf8_lossy(&output.stdout));
    let module: Value = serde_json::from_slice(&output.stdout)?;
    Ok(Path::new(module["Dir"].as_str().context("no Dir")?).join("api/openapi-spec/swagger.json"))
}

/// By the name that kubeconform looks for: `deployment-apps-v1.json`, `service-v1.json`.
fn write(folder: &Path, group: &Value, schema: &Value) -> anyhow::Result<()> {
    let part = |key: &str| group[key].as_str().unwrap_or_default().to_lowercase();
    // It takes the first word of a group only.
    let parts =
        [part("kind"), part("group").split('.').next().unwrap_or_default().to_owned(), part("version")];
    let name = parts.iter().filter(|part| !part.is_empty()).map(String::as_str).collect::<Vec<_>>().join("-");
    fs::write(folder.join(format!("{name}.json")), schema.to_string()).context(name)
}

/// Makes a definition of Swagger a strict JSON schema.
fn tighten(name: &str, definition: &mut Value) {
    if name.ends_with(".Quantity") || name.ends_with(".IntOrString") {
        *definition = json!({"type": ["string", "integer", "number"]});
        return;
    }
    if let Some(object) = definition.as_object_mut()
        && object.contains_key("properties")
    {
        object.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
}
