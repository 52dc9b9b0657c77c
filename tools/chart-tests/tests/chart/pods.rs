//! What holds for every pod, whichever switches are on.

use serde_json::{Value, json};

use crate::chart::{Objects, render};

fn everything() -> Value {
    json!({"seed": {"whenEmpty": true}, "sandbox": {"enabled": true}, "database": {"password": "p"}})
}

#[track_caller]
fn all_pods(objects: &Objects) -> Vec<(String, &Value)> {
    let pods = objects.pods();
    let names: Vec<_> = pods.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "CronJob/farmlokal-seed",
        "Deployment/farmlokal-api",
        "Deployment/farmlokal-controller",
        "Deployment/farmlokal-sandbox",
        "Job/farmlokal-migrate",
        "Job/farmlokal-seed",
        "Job/farmlokal-test",
    ];
    for name in expected {
        assert!(names.contains(&name), "{name} is not among {names:?}");
    }
    assert_eq!(names.len(), expected.len(), "{names:?}");
    pods
}

#[test]
fn pods_have_no_rights_on_their_node() {
    let Some(objects) = render(&everything()) else { return };
    for (name, pod) in all_pods(&objects) {
        let spec = &pod["spec"];
        let expected = json!({
            "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        });
        assert_eq!(spec["securityContext"], expected, "{name}");
        for field in ["hostNetwork", "hostPID", "hostIPC", "volumes", "initContainers"] {
            assert!(spec.get(field).is_none(), "{name} has {field}");
        }
        let containers = spec["containers"].as_array().unwrap();
        assert_eq!(containers.len(), 1, "{name} has a sidecar");
        let expected = json!({
            "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
        });
        assert_eq!(containers[0]["securityContext"], expected, "{name}");
    }
}

#[test]
fn only_the_controller_has_a_token() {
    let Some(objects) = render(&everything()) else { return };
    for (name, pod) in all_pods(&objects) {
        let expected = name == "Deployment/farmlokal-controller";
        assert_eq!(pod["spec"]["automountServiceAccountToken"], expected, "{name}");
    }
    for account in objects.of_kind("ServiceAccount") {
        assert_eq!(account["automountServiceAccountToken"], false, "{account}");
    }
    let account = |name| &objects.get("Deployment", name)["spec"]["template"]["spec"]["serviceAccountName"];
    assert_eq!(account("farmlokal-api"), "farmlokal-api");
    assert_eq!(account("farmlokal-controller"), "farmlokal-controller");
    // It runs before the release's accounts are there.
    let migrate = &objects.get("Job", "farmlokal-migrate")["spec"]["template"]["spec"];
    assert!(migrate.get("serviceAccountName").is_none());
}

/// A Service called "redis" would set `REDIS_PORT` to tcp://..., and no program would start.
#[test]
fn services_of_the_namespace_set_no_variables() {
    let Some(objects) = render(&everything()) else { return };
    for (name, pod) in all_pods(&objects) {
        assert_eq!(pod["spec"]["enableServiceLinks"], false, "{name}");
    }
}

#[test]
fn every_container_says_what_it_needs() {
    let Some(objects) = render(&everything()) else { return };
    for (name, pod) in all_pods(&objects) {
        let resources = &pod["spec"]["containers"][0]["resources"];
        for pointer in ["/requests/cpu", "/requests/memory", "/limits/memory"] {
            assert!(resources.pointer(pointer).is_some(), "{name} has no {pointer}");
        }
        assert!(resources.pointer("/limits/cpu").is_none(), "{name} is throttled");
    }
}

#[test]
fn images_come_from_where_values_say() {
    let image = |objects: &Objects, kind, name| {
        let pods = objects.pods();
        let (_, pod) = pods.iter().find(|(other, _)| *other == format!("{kind}/{name}")).unwrap();
        pod["spec"]["containers"][0]["image"].as_str().unwrap().to_owned()
    };
    let Some(objects) = render(&everything()) else { return };
    let version = env!("CARGO_PKG_VERSION");
    for (kind, name, component) in [
        ("Deployment", "farmlokal-api", "api"),
        ("Deployment", "farmlokal-controller", "controller"),
        ("Deployment", "farmlokal-sandbox", "sandbox"),
        ("CronJob", "farmlokal-seed", "seed"),
        ("Job", "farmlokal-migrate", "api"),
        ("Job", "farmlokal-test", "api"),
    ] {
        let expected = format!("ghcr.io/farmlokal/farmlokal-{component}:{version}");
        assert_eq!(image(&objects, kind, name), expected);
    }
    let mut values = everything();
    values["image"] = json!({"registry": "localhost", "tag": "dev", "pullPolicy": "Never"});
    values["imagePullSecrets"] = json!([{"name": "registry"}]);
    let objects = render(&values).unwrap();
    for (name, pod) in all_pods(&objects) {
        let container = &pod["spec"]["containers"][0];
        let image = container["image"].as_str().unwrap();
        assert!(image.starts_with("localhost/farmlokal-") && image.ends_with(":dev"), "{name}: {image}");
        assert_eq!(container["imagePullPolicy"], "Never", "{name}");
        assert_eq!(pod["spec"]["imagePullSecrets"], json!([{"name": "registry"}]), "{name}");
    }
}

#[test]
fn all_pods_go_where_values_say() {
    let mut values = everything();
    let tolerations = json!([{"key": "shop", "operator": "Exists"}]);
    values["pods"] = json!({
        "labels": {"team": "shop"}, "annotations": {"note": "ours"}, "nodeSelector": {"disk": "ssd"},
        "tolerations": tolerations, "affinity": {"nodeAffinity": {}}, "priorityClassName": "high",
    });
    let Some(objects) = render(&values) else { return };
    for (name, pod) in all_pods(&objects) {
        let (metadata, spec) = (&pod["metadata"], &pod["spec"]);
        assert_eq!(metadata["labels"]["team"], "shop", "{name}");
        assert_eq!(metadata["annotations"]["note"], "ours", "{name}");
        assert_eq!(spec["nodeSelector"], json!({"disk": "ssd"}), "{name}");
        assert_eq!(spec["tolerations"], tolerations, "{name}");
        assert_eq!(spec["affinity"], json!({"nodeAffinity": {}}), "{name}");
        assert_eq!(spec["priorityClassName"], "high", "{name}");
    }
}

#[test]
fn selectors_match_the_pods_they_are_for_and_no_others() {
    let mut values = everything();
    values["networkPolicy"] = json!({"enabled": true});
    values["serviceMonitor"] = json!({"enabled": true});
    let Some(objects) = render(&values) else { return };
    let selected = |selector: &Value| -> Vec<String> {
        let matches = |labels: &Value| {
            let equal = |(key, value): (&String, &Value)| labels[key] == *value;
            let among = |term: &Value| {
                let key = term["key"].as_str().unwrap();
                term["operator"] == "In" && term["values"].as_array().unwrap().contains(&labels[key])
            };
            selector["matchLabels"].as_object().is_none_or(|terms| terms.iter().all(equal))
                && selector["matchExpressions"].as_array().is_none_or(|terms| terms.iter().all(among))
        };
        let mut pods: Vec<_> = objects
            .pods()
            .into_iter()
            .filter(|(_, pod)| matches(&pod["metadata"]["labels"]))
            .map(|(name, _)| name)
            .collect();
        pods.sort();
        pods
    };
    let of = |kind, name, pointer: &str| selected(objects.get(kind, name).pointer(pointer).unwrap());
    for name in ["farmlokal-api", "farmlokal-controller", "farmlokal-sandbox"] {
        let itself = [format!("Deployment/{name}")];
        assert_eq!(of("Deployment", name, "/spec/selector"), itself);
        assert_eq!(of("NetworkPolicy", name, "/spec/podSelector"), itself);
        let spread =
            &objects.get("Deployment", name)["spec"]["template"]["spec"]["topologySpreadConstraints"];
        for constraint in spread.as_array().into_iter().flatten() {
            assert_eq!(selected(&constraint["labelSelector"]), itself);
        }
    }
    for name in ["farmlokal-api", "farmlokal-sandbox"] {
        let selector = json!({"matchLabels": objects.get("Service", name)["spec"]["selector"]});
        assert_eq!(selected(&selector), [format!("Deployment/{name}")]);
    }
    assert_eq!(of("PodDisruptionBudget", "farmlokal-api", "/spec/selector"), ["Deployment/farmlokal-api"]);
    let jobs = ["CronJob/farmlokal-seed", "Job/farmlokal-seed"];
    assert_eq!(of("NetworkPolicy", "farmlokal-seed", "/spec/podSelector"), jobs);
    assert_eq!(of("NetworkPolicy", "farmlokal-migrate", "/spec/podSelector"), ["Job/farmlokal-migrate"]);
    assert_eq!(of("NetworkPolicy", "farmlokal-test", "/spec/podSelector"), ["Job/farmlokal-test"]);
    let scraped = ["CronJob/farmlokal-seed", "Deployment/farmlokal-controller", "Job/farmlokal-seed"];
    assert_eq!(of("PodMonitor", "farmlokal", "/spec/selector"), scraped);
    // A ServiceMonitor selects Services.
    let wanted = objects.get("ServiceMonitor", "farmlokal-api")["spec"]["selector"]["matchLabels"].clone();
    let labels = &objects.get("Service", "farmlokal-api")["metadata"]["labels"];
    assert!(wanted.as_object().unwrap().iter().all(|(key, value)| labels[key] == *value));
}
