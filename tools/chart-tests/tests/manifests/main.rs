//! What k8s/ holds: it parses, builds and fits together.

#![allow(clippy::unwrap_used, missing_docs)]

mod pods;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use farmlokal_chart_tests::{NEW, Tool, helm, kubeconform, kustomize, repository, yaml};
use serde_json::Value;

/// What `kubectl apply -k` takes.
const FOLDERS: [&str; 3] = ["k8s/dev", "k8s/kind", "k8s/load"];
/// What `kubectl create` or `apply -f` takes.
const SAMPLES: [&str; 2] = ["k8s/samples/catalog.yaml", "k8s/samples/seed.yaml"];

/// The objects of all folders and samples; `None` where nothing can render them.
fn objects() -> Option<Vec<Value>> {
    let mut objects = Vec::new();
    for folder in FOLDERS {
        objects.extend(kustomize(folder)?.unwrap());
    }
    for sample in SAMPLES {
        objects.extend(yaml::documents(&fs::read_to_string(repository(sample)).unwrap()).unwrap());
    }
    Some(objects)
}

fn of<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().or(object["metadata"]["generateName"].as_str()).unwrap()
}

/// Those of the objects that run pods, with their pods' template.
fn pods(objects: &[Value]) -> Vec<(&Value, &Value)> {
    let template =
        |object| -> Option<(&Value, &Value)> { Some((object, object.pointer("/spec/template/spec")?)) };
    objects.iter().filter_map(template).collect()
}

fn containers(pod: &Value) -> &[Value] {
    pod["containers"].as_array().unwrap()
}

fn read(path: &str) -> Value {
    yaml::document(&fs::read_to_string(repository(path)).unwrap()).unwrap()
}

/// YAML files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            found.push(path);
        }
    }
    found
}

#[test]
fn every_file_is_yaml_and_every_folder_with_a_kustomization_is_built_here() {
    let files = files(&repository("k8s"));
    assert!(files.len() > 10, "{files:?}");
    for file in &files {
        let documents = yaml::documents(&fs::read_to_string(file).unwrap());
        assert!(documents.is_ok_and(|documents| !documents.is_empty()), "{}", file.display());
    }
    let folders = files.iter().filter(|file| file.ends_with("kustomization.yaml"));
    let folders: BTreeSet<_> = folders.map(|file| file.parent().unwrap().to_owned()).collect();
    assert_eq!(folders, FOLDERS.iter().map(repository).collect());
}

#[test]
fn every_object_fits_the_schema_of_its_kind() {
    let (Some(objects), Some(mut kubeconform)) = (objects(), kubeconform(NEW)) else { return };
    let folder = tempfile::tempdir().unwrap();
    for (number, object) in objects.iter().enumerate() {
        fs::write(folder.path().join(format!("{number}.json")), object.to_string()).unwrap();
    }
    let output = kubeconform.arg(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// Whatever a pod mounts, a Service selects or a port names is among the objects.
#[test]
fn what_objects_name_is_there() {
    let Some(objects) = objects() else { return };
    let is = |kind: &str, called: &Value| {
        of(&objects, kind).iter().any(|object| object["metadata"]["name"] == *called)
    };
    for (object, pod) in pods(&objects) {
        for volume in pod["volumes"].as_array().into_iter().flatten() {
            if let Some(map) = volume.get("configMap").filter(|map| map["optional"] != true) {
                assert!(is("ConfigMap", &map["name"]), "{}: {map}", name(object));
                let data = of(&objects, "ConfigMap")
                    .into_iter()
                    .find(|other| other["metadata"]["name"] == map["name"]);
                for item in map["items"].as_array().into_iter().flatten() {
                    assert!(data.unwrap()["data"][item["key"].as_str().unwrap()].is_string(), "{item}");
                }
            }
            if let Some(claim) = volume.get("persistentVolumeClaim") {
                assert!(is("PersistentVolumeClaim", &claim["claimName"]), "{}: {claim}", name(object));
            }
        }
        if let Some(account) = pod.get("serviceAccountName") {
            assert!(is("ServiceAccount", account), "{}: {account}", name(object));
        }
    }
    for service in of(&objects, "Service") {
        let selector = service["spec"]["selector"].as_object().unwrap();
        let selected = |object: &&Value| {
            let labels = object.pointer("/spec/template/metadata/labels");
            labels.is_some_and(|labels| selector.iter().all(|(key, value)| labels[key] == *value))
        };
        let workload =
            objects.iter().find(selected).unwrap_or_else(|| panic!("{} selects no pod", name(service)));
        let pod = &workload["spec"]["template"]["spec"];
        for port in service["spec"]["ports"].as_array().unwrap() {
            let mut ports =
                containers(pod).iter().filter_map(|container| container["ports"].as_array()).flatten();
            assert!(ports.any(|own| own["name"] == port["targetPort"]), "{}: {port}", name(service));
        }
    }
}

#[test]
fn the_chart_s_values_and_grafana_s_sources_are_services_of_the_development_cluster() {
    let Some(Ok(objects)) = kustomize("k8s/dev") else { return };
    let offers = |host: &str, port: u64| {
        of(&objects, "Service").iter().any(|service| {
            let mut ports = service["spec"]["ports"].as_array().unwrap().iter();
            name(service) == host && ports.any(|own| own["port"] == port)
        })
    };
    let values = read("k8s/dev/values.yaml");
    assert!(offers(values["database"]["host"].as_str().unwrap(), 3306));
    assert!(offers(values["redis"]["host"].as_str().unwrap(), 6379));
    let secret = &of(&objects, "Secret")[0]["stringData"];
    assert_eq!(secret["MYSQL_PASSWORD"], values["database"]["password"]);
    let sources = read("k8s/dev/grafana-datasources.yaml");
    let sources = sources["datasources"].as_array().unwrap().iter().map(|source| &source["url"]);
    for url in sources.chain([&values["traces"]["endpoint"]]) {
        let (host, port) = url.as_str().unwrap().strip_prefix("http://").unwrap().split_once(':').unwrap();
        assert!(offers(host, port.parse().unwrap()), "no Service answers for {url}");
    }
}

#[test]
fn the_load_job_has_every_script_that_its_own_imports() {
    let job = read("k8s/load/job.yaml");
    let pod = &job["spec"]["template"]["spec"];
    let items = pod["volumes"][0]["configMap"]["items"].as_array().unwrap().iter();
    let paths: BTreeSet<&str> = items.map(|item| item["path"].as_str().unwrap()).collect();
    let run = containers(pod)[0]["args"].as_array().unwrap().last().unwrap().as_str().unwrap();
    assert!(paths.contains(run.strip_prefix("/scripts/").unwrap()), "{run}");
    for path in &paths {
        let path = Path::new(path);
        for line in fs::read_to_string(repository("loadtest").join(path)).unwrap().lines() {
            let Some((_, module)) = line.split_once(" from './") else { continue };
            let module = path.with_file_name(module.trim_end_matches("';"));
            assert!(
                paths.contains(module.to_str().unwrap()),
                "{} imports {}",
                path.display(),
                module.display()
            );
        }
    }
}

/// The chart makes them, as Tilt installs it.
#[test]
fn all_dashboards_are_in_grafana() {
    let arguments = ["--namespace", "farmlokal", "--values", "k8s/dev/values.yaml"];
    let Some(chart) = helm("farmlokal", "charts/farmlokal", &arguments) else { return };
    let Some(Ok(objects)) = kustomize("k8s/dev") else { return };
    let pods = pods(&objects);
    let (_, grafana) = pods.iter().find(|(object, _)| name(object) == "grafana").unwrap();
    let volumes = grafana["volumes"].as_array().unwrap();
    let mounted = volumes.iter().find(|volume| volume["name"] == "dashboards").unwrap();
    let chart = chart.unwrap();
    let maps = of(&chart, "ConfigMap");
    assert!(maps.iter().any(|map| map["metadata"]["name"] == mounted["configMap"]["name"]), "{mounted}");
}

#[test]
fn prometheus_understands_its_configuration() {
    let Some(mut promtool) = Tool::Promtool.command() else { return };
    let mut configuration = read("k8s/dev/prometheus.yml");
    for job in configuration["scrape_configs"].as_array_mut().unwrap() {
        // It may have been built without service discovery, which is large.
        job.as_object_mut().unwrap().remove("kubernetes_sd_configs");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prometheus.yml");
    fs::write(&file, configuration.to_string()).unwrap();
    promtool.args(["check", "config", "--syntax-only"]).arg(file);
    let output = promtool.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn kind_maps_the_port_of_the_ingress_controller() {
    let Some(Ok(objects)) = kustomize("k8s/kind") else { return };
    let service = of(&objects, "Service").into_iter().find(|service| name(service) == "traefik").unwrap();
    let cluster = read("k8s/kind/cluster.yaml");
    let nodes = cluster["nodes"].as_array().unwrap();
    assert!(nodes.iter().filter(|node| node["role"] == "worker").count() >= 2, "one to drain, one to go on");
    let mapped = &nodes[0]["extraPortMappings"][0]["containerPort"];
    assert_eq!(service["spec"]["ports"][0]["nodePort"], *mapped);
    let class = of(&objects, "IngressClass")[0];
    assert_eq!(read("k8s/dev/values.yaml")["ingress"]["className"], class["metadata"]["name"]);
}

/// Against the cluster of the current kubeconfig, where nothing is changed but that the namespace is made:
/// `cargo test -p farmlokal-chart-tests --test manifests -- --ignored`
#[test]
#[ignore = "needs a cluster"]
fn a_cluster_takes_all_of_it() {
    let kubectl = |arguments: &[&str]| {
        let output =
            Tool::Kubectl.command().unwrap().args(arguments).current_dir(repository(".")).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    // What is in a namespace cannot be tried without it.
    kubectl(&["apply", "--filename", "k8s/dev/namespace.yaml"]);
    // k8s/kind is applied to a kind cluster only: others have an ingress controller of their own.
    for folder in ["k8s/dev", "k8s/load"] {
        kubectl(&["apply", "--dry-run=server", "--validate=strict", "--kustomize", folder]);
    }
    kubectl(&["create", "--dry-run=server", "--validate=strict", "--filename", "k8s/samples/seed.yaml"]);
    // Our own kind is known to a cluster where the chart was installed.
    if Tool::Kubectl
        .command()
        .unwrap()
        .args(["get", "crd", "productcatalogs.farmlokal.dev"])
        .output()
        .unwrap()
        .status
        .success()
    {
        kubectl(&[
            "apply",
            "--dry-run=server",
            "--validate=strict",
            "--filename",
            "k8s/samples/catalog.yaml",
        ]);
    }
}
