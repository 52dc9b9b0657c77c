//! Rendering with helm, and what came of it.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use farmlokal_chart_tests::{Tool, repository, yaml};
use serde_json::{Value, json};

/// The cluster, where there is none to ask.
pub const KUBERNETES: &str = "1.36.0";

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

/// The same with arguments of your own.
#[track_caller]
pub fn render_as(args: &[&str], values: &Value) -> Option<Objects> {
    render_by(Tool::Helm, args, values)
}

/// The same by a Helm of this version.
#[track_caller]
pub fn render_by(helm: Tool, args: &[&str], values: &Value) -> Option<Objects> {
    let output = run_helm(helm, args, values)?;
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
    run_helm(Tool::Helm, args, values)
}

fn run_helm(helm: Tool, args: &[&str], values: &Value) -> Option<Output> {
    let mut helm = helm.command()?;
    helm.args(args).arg(repository("charts/farmlokal")).args(["--namespace", "shop", "--values", "-"]);
    // A Helm 3 that Go has built takes the cluster for an old one.
    helm.args(["--kube-version", KUBERNETES]);
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
    /// The object of this kind and name, a Job's without the checksum at its end.
    #[track_caller]
    pub fn get(&self, kind: &str, name: &str) -> &Value {
        self.find(kind, name).unwrap_or_else(|| panic!("no {kind}/{name} among {:?}", self.names()))
    }

    pub fn find(&self, kind: &str, name: &str) -> Option<&Value> {
        self.all.iter().find(|object| stable_name_of(object) == format!("{kind}/{name}"))
    }

    pub fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.all.iter().filter(move |object| object["kind"] == kind)
    }

    /// `Kind/name` of each, of Jobs without the checksum.
    pub fn names(&self) -> BTreeSet<String> {
        self.all.iter().map(stable_name_of).collect()
    }

    /// Each pod's template, under the name of what it belongs to; of a Job's without the checksum.
    pub fn pods(&self) -> Vec<(String, &Value)> {
        let pods = self.all.iter().filter_map(|object| {
            let pod =
                object.pointer("/spec/template").or(object.pointer("/spec/jobTemplate/spec/template"))?;
            Some((stable_name_of(object), pod))
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

fn stable_name_of(object: &Value) -> String {
    let name = name_of(object);
    match name.rsplit_once('-') {
        Some((name, sum)) if object["kind"] == "Job" && sum.len() == 8 => name.to_owned(),
        _ => name,
    }
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

/// Values that together switch everything on and off.
pub fn variants() -> Vec<Value> {
    let everything = json!({
        "global": {"imageRegistry": "mirror.example:5000", "imagePullSecrets": ["registry", {"name": "mirror"}]},
        "nameOverride": "catalogue", "fullnameOverride": "shop", "imagePullSecrets": [{"name": "registry"}], "listen": "::",
        "commonLabels": {"helm.sh/chart": "ours", "team": "shop"}, "commonAnnotations": {"team": "shop"},
        "pods": {"labels": {"app.kubernetes.io/version": "1", "team": "b"}, "annotations": {"a": "b"},
            "nodeSelector": {"a": "b"}, "priorityClassName": "high",
            "tolerations": [{"key": "a", "operator": "Exists"}], "affinity": {"nodeAffinity": {}}},
        "database": {"password": "p", "tls": {"mode": "REQUIRED"}},
        "redis": {"username": "u", "password": "p", "tls": {"enabled": true}},
        "api": {
            "autoscaling": {"enabled": true, "requestsPerSecond": 2000}, "extraEnv": [{"name": "DB_HOST", "value": "b"}],
            "search": {"synonyms": ["okra, bhindi"]},
            "podDisruptionBudget": {"maxUnavailable": "25%"}, "annotations": {"a": "b"},
            "image": {"digest": format!("sha256:{}", "0".repeat(64))}, "pods": {"nodeSelector": {"c": "d"}},
            "service": {"type": "LoadBalancer", "annotations": {"a": "b"}, "ipFamilyPolicy": "PreferDualStack"},
            "serviceAccount": {"annotations": {"a": "b"}},
        },
        "ingress": {"enabled": true, "className": "traefik", "hosts": ["a.example", "b.example"], "tls": {"enabled": true}},
        "gateway": {"enabled": true, "parentRefs": [{"name": "public"}], "hostnames": ["a.example"]},
        "controller": {"extraEnv": [{"name": "A", "value": "b"}], "serviceAccount": {"create": false, "name": "mine"}},
        "migrate": {"envFrom": [{"secretRef": {"name": "more"}}], "extraVolumes": [{"name": "v", "emptyDir": {}}],
            "extraVolumeMounts": [{"name": "v", "mountPath": "/v"}]},
        "seed": {"whenEmpty": true}, "sandbox": {"enabled": true},
        "networkPolicy": {"enabled": true, "ingressFrom": [{"namespaceSelector": {}}], "monitoringFrom": [{"podSelector": {}}],
            "databaseTo": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "databasePorts": [3307], "redisPorts": [6380, 26379], "extraEgress": [{"ports": [{"port": 1}]}]},
        "serviceMonitor": {"enabled": true}, "prometheusRule": {"enabled": true}, "dashboards": {"enabled": true},
        "traces": {"endpoint": "http://collector:4318"},
    });
    let existing = json!({
        "database": {"existingSecret": "db", "urlKey": "url", "replica": {"urlKey": "read-url"},
            "tls": {"existingSecret": "tls", "certKey": "tls.crt", "keyKey": "tls.key"}},
        "redis": {"existingSecret": "redis", "tls": {"enabled": true, "existingSecret": "tls"}},
        "partners": {"existingSecret": "p", "oauth": {"tokenUrl": "https://id.example/t", "clientId": "c"}},
        "auth": {"issuer": "https://id.example/", "audience": "a", "leeway": "5s"},
        "pods": {"topologySpread": [], "securityContext": {"runAsUser": null, "runAsGroup": null}},
        "api": {"replicas": null, "podDisruptionBudget": {"enabled": false}, "serviceAccount": {"create": false}},
        "seed": {"ttlSecondsAfterFinished": null},
        "ingress": {"enabled": true}, "migrate": {"enabled": false}, "rbac": {"aggregate": false},
    });
    let least = json!({"controller": {"enabled": false}, "catalog": {"create": false}});
    vec![json!({}), everything, existing, least]
}
