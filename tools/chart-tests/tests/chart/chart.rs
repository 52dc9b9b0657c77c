//! Rendering with helm, and what came of it.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use farmlokal_chart_tests::{Tool, repository, yaml};
use serde_json::Value;

/// The objects of a release `farmlokal` in the namespace `shop`.
pub struct Objects {
    pub all: Vec<Value>,
    pub text: String,
}

/// Renders with these values; `None` where there is no helm.
#[track_caller]
pub fn render(values: &Value) -> Option<Objects> {
    render_as(&["template", "farmlokal"], values)
}

/// The same as an upgrade.
#[track_caller]
pub fn render_upgrade(values: &Value) -> Option<Objects> {
    render_as(&["template", "farmlokal", "--is-upgrade"], values)
}

/// The same with arguments of your own.
#[track_caller]
pub fn render_as(args: &[&str], values: &Value) -> Option<Objects> {
    let output = helm(args, values)?;
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{values}: {error}");
    let text = String::from_utf8(output.stdout).unwrap();
    let all = yaml::documents(&text).unwrap_or_else(|error| panic!("{values}: {error:#}\n{text}"));
    Some(Objects { all, text })
}

/// Why helm refuses these values.
#[track_caller]
pub fn refusal(values: &Value) -> Option<String> {
    let output = helm(&["template", "farmlokal"], values)?;
    assert!(!output.status.success(), "{values} is taken");
    Some(String::from_utf8(output.stderr).unwrap())
}

/// Runs helm on the chart with values on its standard input.
pub fn helm(args: &[&str], values: &Value) -> Option<Output> {
    let mut helm = Tool::Helm.command()?;
    helm.args(args).arg(repository("charts/farmlokal")).args(["--namespace", "shop", "--values", "-"]);
    Some(run(helm, &values.to_string()))
}

/// Runs a command to its end with this input.
pub fn run(mut command: Command, input: &str) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (mut stdin, input) = (child.stdin.take().unwrap(), input.to_owned());
    // Whoever does not read it says why.
    let writer = std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

impl Objects {
    /// The object of this kind and name.
    #[track_caller]
    pub fn get(&self, kind: &str, name: &str) -> &Value {
        self.find(kind, name).unwrap_or_else(|| panic!("no {kind}/{name} among {:?}", self.names()))
    }

    pub fn find(&self, kind: &str, name: &str) -> Option<&Value> {
        self.all.iter().find(|object| object["kind"] == kind && object["metadata"]["name"] == name)
    }

    pub fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.all.iter().filter(move |object| object["kind"] == kind)
    }

    /// `Kind/name` of each.
    pub fn names(&self) -> BTreeSet<String> {
        self.all.iter().map(name_of).collect()
    }

    /// Each pod's template or the pod itself, under the name of what it belongs to.
    pub fn pods(&self) -> Vec<(String, &Value)> {
        let pods = self.all.iter().filter_map(|object| {
            let pod = match object["kind"].as_str()? {
                "Deployment" | "Job" => object.pointer("/spec/template")?,
                "CronJob" => object.pointer("/spec/jobTemplate/spec/template")?,
                "Pod" => object,
                _ => return None,
            };
            Some((name_of(object), pod))
        });
        pods.collect()
    }

    /// The container of a Deployment.
    #[track_caller]
    pub fn container(&self, deployment: &str) -> &Value {
        &self.get("Deployment", deployment)["spec"]["template"]["spec"]["containers"][0]
    }

    /// The API's settings in the `ConfigMap`.
    #[track_caller]
    pub fn config(&self) -> &Value {
        &self.get("ConfigMap", "farmlokal-api")["data"]
    }
}

pub fn name_of(object: &Value) -> String {
    format!("{}/{}", object["kind"].as_str().unwrap(), object["metadata"]["name"].as_str().unwrap())
}

/// The entry of `env` with this name.
#[track_caller]
pub fn env<'a>(container: &'a Value, name: &str) -> &'a Value {
    find_env(container, name).unwrap_or_else(|| panic!("no {name}: {}", container["env"]))
}

pub fn find_env<'a>(container: &'a Value, name: &str) -> Option<&'a Value> {
    container["env"].as_array()?.iter().find(|entry| entry["name"] == name)
}

/// The Secret and key that a variable comes from, as `secret/key`.
#[track_caller]
pub fn secret_of(container: &Value, name: &str) -> String {
    let reference = &env(container, name)["valueFrom"]["secretKeyRef"];
    format!("{}/{}", reference["name"].as_str().unwrap(), reference["key"].as_str().unwrap())
}
