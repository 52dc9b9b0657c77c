//! The Tiltfile, run by the interpreter that Tilt is made of, with Tilt's functions stubbed (`tilt/stubs.star`): all that it names
//! exists, and all that it loads renders.

#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::sync::OnceLock;

use farmlokal_chart_tests::{Tool, helm, kustomize, repository, yaml};
use serde_json::{Value, json};

/// All calls of Tilt's functions, in their order; `None` where no Starlark interpreter can be had.
fn calls() -> Option<&'static [Value]> {
    static CALLS: OnceLock<Option<Vec<Value>>> = OnceLock::new();
    CALLS
        .get_or_init(|| Some(evaluate(&fs::read_to_string(repository("Tiltfile")).unwrap())?.unwrap()))
        .as_deref()
}

/// `Err` with what the interpreter says.
fn evaluate(tiltfile: &str) -> Option<Result<Vec<Value>, String>> {
    evaluate_with(tiltfile, "_calls")
}

/// The same for a list that an expression makes after the Tiltfile.
fn evaluate_with(tiltfile: &str, expression: &str) -> Option<Result<Vec<Value>, String>> {
    let mut starlark = Tool::Starlark.command()?;
    let print = format!("print(json.encode({expression}))");
    let program = [include_str!("tilt/stubs.star"), tiltfile, &print].join("\n");
    // Tilt allows what this flag allows: `for` outside of functions.
    let output = starlark.args(["-globalreassign", "-c", &program]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    Some(if output.status.success() { Ok(serde_json::from_str(&said).unwrap()) } else { Err(said) })
}

fn of<'a>(calls: &'a [Value], function: &str) -> Vec<&'a Value> {
    calls.iter().filter(|call| call["function"] == function).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no string"))
}

fn list(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().unwrap_or_else(|| panic!("{value} is no list")).iter().map(text)
}

/// What a call of `k8s_yaml` loads. `None` where kubectl or helm is missing.
fn load(source: &Value) -> Option<Vec<Value>> {
    if let Some(file) = source["file"].as_str() {
        return Some(yaml::documents(&fs::read_to_string(repository(file)).unwrap()).unwrap());
    }
    if let Some(folder) = source["kustomize"].as_str() {
        return Some(kustomize(folder)?.unwrap());
    }
    let mut arguments = vec![
        "--namespace".to_owned(),
        text(&source["namespace"]).to_owned(),
        "--skip-tests".to_owned(),
        "--include-crds".to_owned(),
    ];
    for (flag, values) in [("--values", "values"), ("--set", "set")] {
        arguments.extend(list(&source[values]).flat_map(|value| [flag.to_owned(), value.to_owned()]));
    }
    let mut objects = helm(text(&source["name"]), text(&source["helm"]), &arguments)?.unwrap();
    for object in &mut objects {
        // As Tilt does where the chart does not.
        if object["metadata"]["namespace"].is_null() {
            object["metadata"]["namespace"] = source["namespace"].clone();
        }
    }
    // As Tilt does too.
    objects.push(json!({"kind": "Namespace", "metadata": {"name": source["namespace"]}}));
    Some(objects)
}

/// All objects that Tilt applies, of which it refuses two alike.
fn objects() -> Option<&'static [Value]> {
    static OBJECTS: OnceLock<Option<Vec<Value>>> = OnceLock::new();
    let load_all = || {
        let mut seen = BTreeSet::new();
        let mut objects = Vec::new();
        for call in of(calls()?, "k8s_yaml") {
            for object in load(&call["source"])? {
                let metadata = &object["metadata"];
                let id = format!("{} {} {}", object["kind"], metadata["namespace"], metadata["name"]);
                let new = seen.insert(id.clone());
                assert!(new || call["allow_duplicates"] == true, "{id} is there twice");
                objects.push(object);
            }
        }
        Some(objects)
    };
    OBJECTS.get_or_init(load_all).as_deref()
}

/// The template of an object's pods.
fn pod(object: &Value) -> Option<&Value> {
    let spec = &object["spec"];
    [spec.pointer("/template/spec"), spec.pointer("/jobTemplate/spec/template/spec")]
        .into_iter()
        .flatten()
        .next()
}

fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    ["containers", "initContainers"].into_iter().filter_map(|key| pod[key].as_array()).flatten()
}

/// What makes a resource by itself, by the name that the Tiltfile gives it.
fn workloads() -> Option<BTreeMap<String, &'static Value>> {
    let (names, pods): (Vec<_>, Vec<_>) =
        objects()?.iter().filter_map(|object| Some((&object["metadata"]["name"], pod(object)?))).unzip();
    assert_eq!(of(calls()?, "workload_to_resource_function").len(), 1);
    let resources = format!("[resource_name(name) for name in {}]", json!(names));
    let tiltfile = fs::read_to_string(repository("Tiltfile")).unwrap();
    let mut workloads = BTreeMap::new();
    for (name, pod) in evaluate_with(&tiltfile, &resources)?.unwrap().iter().zip(pods) {
        assert!(workloads.insert(text(name).to_owned(), pod).is_none(), "two workloads are called {name}");
    }
    Some(workloads)
}

#[test]
fn a_wrong_parameter_is_an_error_as_it_is_in_tilt() {
    let Some(result) = evaluate("docker_build('x', '.', tagret='api')") else { return };
    assert!(result.unwrap_err().contains("tagret"));
}

#[test]
fn every_image_of_ours_is_built_from_a_stage_that_exists() {
    let Some(objects) = objects() else { return };
    let dockerfile = fs::read_to_string(repository("Dockerfile")).unwrap();
    let dockerfile = parse_dockerfile::parse(&dockerfile).unwrap();
    let mut built = BTreeSet::new();
    for call in of(calls().unwrap(), "docker_build") {
        assert!(
            repository(text(&call["context"])).is_dir() && repository(text(&call["dockerfile"])).is_file()
        );
        let (image, target) = (text(&call["ref"]), text(&call["target"]));
        assert!(dockerfile.stage(target).is_some(), "the Dockerfile has no stage {target}");
        assert!(image.ends_with(&format!("/farmlokal-{target}")), "{image} is made of {target}");
        for argument in call["build_args"].as_object().unwrap().keys() {
            let declared = |instruction: &parse_dockerfile::Instruction<'_>| match instruction {
                parse_dockerfile::Instruction::Arg(arg) => {
                    arg.arguments.value.starts_with(&format!("{argument}="))
                }
                _ => false,
            };
            assert!(dockerfile.instructions.iter().any(declared), "the Dockerfile has no ARG {argument}");
        }
        for path in list(&call["paths"]) {
            assert!(repository(path).exists(), "{path} does not exist");
        }
        built.insert(image.to_owned());
    }
    let images =
        objects.iter().filter_map(pod).flat_map(containers).map(|container| text(&container["image"]));
    let ours = images
        .filter_map(|image| image.rsplit_once(':'))
        .map(|(image, _)| image)
        .filter(|image| image.starts_with("localhost/"));
    assert_eq!(built, ours.map(str::to_owned).collect::<BTreeSet<_>>());
}

#[test]
fn every_resource_that_it_configures_is_loaded_and_listens_where_it_forwards_to() {
    let Some(workloads) = workloads() else { return };
    let calls = calls().unwrap();
    let mut resources: BTreeSet<&str> = workloads.keys().map(String::as_str).collect();
    resources.extend(of(calls, "local_resource").iter().map(|call| text(&call["name"])));
    let mut taken = BTreeSet::new();
    for call in of(calls, "k8s_resource") {
        let name = text(&call["workload"]);
        let pod = workloads.get(name).unwrap_or_else(|| panic!("no workload {name} is loaded"));
        for forward in list(&call["port_forwards"]) {
            let (from, to) = forward.split_once(':').unwrap_or((forward, forward));
            assert!(taken.insert(from), "port {from} is forwarded twice");
            let mut ports = containers(pod).filter_map(|container| container["ports"].as_array()).flatten();
            assert!(
                ports.any(|port| port["containerPort"].as_u64() == to.parse().ok()),
                "{name} has no port {to}"
            );
        }
        for selector in list(&call["objects"]) {
            let (name, kind) = selector.split_once(':').unwrap();
            let named = |object: &&Value| {
                object["metadata"]["name"] == name && text(&object["kind"]).eq_ignore_ascii_case(kind)
            };
            assert_eq!(objects().unwrap().iter().filter(named).count(), 1, "{selector}");
        }
    }
    for call in calls {
        for dependency in call["resource_deps"].as_array().into_iter().flatten().map(text) {
            assert!(resources.contains(dependency), "there is no resource {dependency} to wait for");
        }
    }
    let configured = of(calls, "k8s_resource").iter().map(|call| text(&call["workload"])).collect();
    assert_eq!(
        workloads.keys().map(String::as_str).collect::<BTreeSet<_>>(),
        configured,
        "some have no label"
    );
}

/// Seeding, flushing, load and tests are buttons, and what they run exists.
#[test]
fn buttons_wait_to_be_pressed_and_name_what_is_there() {
    let Some(objects) = objects() else { return };
    let calls = calls().unwrap();
    let makefile = fs::read_to_string(repository("Makefile")).unwrap();
    let has = |kind: &str, name: &str| {
        objects.iter().any(|object| {
            object["metadata"]["name"] == name && text(&object["kind"]).eq_ignore_ascii_case(kind)
        })
    };
    let mut buttons = BTreeSet::new();
    for call in calls {
        let name = call["name"].as_str().or(call["workload"].as_str()).unwrap_or_default();
        if call["auto_init"] != false {
            continue;
        }
        assert_eq!(call["trigger_mode"], "manual", "{name} would start again by itself");
        buttons.insert(name);
        let Some(cmd) = call["cmd"].as_str() else { continue };
        // A script speaks for its button.
        let script = cmd.strip_prefix("sh ").and_then(|words| words.split_whitespace().next());
        let text = script.map_or(cmd.to_owned(), |path| fs::read_to_string(repository(path)).unwrap());
        let shell = Command::new("sh").args(["-n", "-c", &text]).status().unwrap();
        assert!(shell.success(), "{name}: the shell cannot read {text}");
        let text = format!("{cmd}\n{text}");
        let words: Vec<&str> = text.split_whitespace().collect();
        for pair in words.windows(2) {
            match *pair {
                ["make", target] => assert!(makefile.contains(&format!("\n{target}: ")), "make {target}"),
                ["productcatalog", catalog] => {
                    assert!(has("ProductCatalog", catalog), "no catalogue {catalog}");
                }
                ["--namespace" | "k8s/dev/seed.sh", namespace] if !namespace.contains('$') => {
                    assert!(has("Namespace", namespace), "no namespace {namespace}");
                }
                _ => {}
            }
            if let Some(job) = pair[1].strip_prefix("--from=cronjob/") {
                assert!(has("CronJob", job), "no CronJob {job}");
            }
        }
    }
    assert_eq!(buttons, BTreeSet::from(["flush", "load", "seed", "test"]));
}

/// An Ingress before its Service makes the ingress controller log errors.
#[test]
fn the_ingress_is_applied_with_its_service() {
    let Some(objects) = objects() else { return };
    let ingresses: Vec<_> = objects.iter().filter(|object| object["kind"] == "Ingress").collect();
    assert!(!ingresses.is_empty());
    for ingress in ingresses {
        let selector = format!("{}:ingress", text(&ingress["metadata"]["name"]));
        let backend = ingress.pointer("/spec/rules/0/http/paths/0/backend/service/name").unwrap();
        let resources = of(calls().unwrap(), "k8s_resource");
        let mine = resources.iter().find(|call| list(&call["objects"]).any(|object| object == selector));
        assert_eq!(mine.map(|call| &call["workload"]), Some(backend), "{selector}");
    }
}

/// Tilt takes the values of Secrets out of every line of the logs: here that is the project's name.
#[test]
fn logs_keep_the_name_of_the_project() {
    let Some(calls) = calls() else { return };
    let settings = of(calls, "secret_settings");
    assert!(matches!(settings[..], [one] if one["disable_scrub"] == true), "{settings:?}");
}

/// Presses the button `seed` with a kubectl that does this; gives the exit code and what was called.
fn seed(kubectl: &str) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let calls = folder.path().join("calls");
    let programs = [
        ("kubectl", format!("shift 2; echo \"$*\" >>{}\n{kubectl}", calls.display())),
        ("sleep", String::new()),
    ];
    for (name, text) in programs {
        let program = folder.path().join(name);
        fs::write(&program, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.arg(repository("k8s/dev/seed.sh")).arg("farmlokal").env("PATH", path);
    (shell.output().unwrap().status.code(), fs::read_to_string(calls).unwrap())
}

#[test]
fn seeding_that_fails_is_red_and_one_that_is_done_is_green() {
    let ends_as = |condition: &str| seed(&format!("[ \"$1\" != get ] || echo {condition}"));
    let (code, calls) = ends_as("'SuccessCriteriaMet Complete'");
    assert_eq!(code, Some(0), "{calls}");
    assert!(calls.starts_with("create job seed-") && calls.contains("\nlogs --follow "), "{calls}");
    assert_eq!(ends_as("'FailureTarget Failed'").0, Some(1));
    // Neither: the wait has an end.
    assert_eq!(ends_as("").0, Some(1));
}

#[test]
fn the_log_of_a_container_that_is_still_created_is_asked_for_again() {
    let (code, calls) = seed(
        "case $1 in\n\
         logs) [ \"$(grep -c ^logs \"$0.log\" 2>/dev/null)\" = 2 ] || { echo logs >>\"$0.log\"; exit 1; } ;;\n\
         get) echo Complete ;;\nesac",
    );
    assert_eq!((code, calls.matches("\nlogs ").count()), (Some(0), 3), "{calls}");
}
