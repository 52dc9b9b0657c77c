//! Which objects there are: by default, and with every switch.

use serde_json::json;

use crate::chart::{Objects, helm, name_of, render, render_as};

const DEFAULT: &[&str] = &[
    "ClusterRole/farmlokal-edit:shop",
    "ClusterRole/farmlokal-view:shop",
    "ConfigMap/farmlokal-api",
    "CronJob/farmlokal-seed",
    "Deployment/farmlokal-api",
    "Deployment/farmlokal-controller",
    "Job/farmlokal-migrate",
    "Job/farmlokal-test",
    "PodDisruptionBudget/farmlokal-api",
    "PodDisruptionBudget/farmlokal-controller",
    "ProductCatalog/farmlokal",
    "Role/farmlokal-controller",
    "RoleBinding/farmlokal-controller",
    "Service/farmlokal-api",
    "ServiceAccount/farmlokal-api",
    "ServiceAccount/farmlokal-controller",
];

/// What a switch adds to the default (`+`) and takes away (`-`).
#[track_caller]
fn changes(objects: &Objects) -> Vec<String> {
    let names = objects.names();
    let added = names.iter().filter(|name| !DEFAULT.contains(&name.as_str())).map(|name| format!("+{name}"));
    let gone = DEFAULT.iter().filter(|name| !names.contains(**name)).map(|name| format!("-{name}"));
    added.chain(gone).collect()
}

#[test]
fn helm_finds_nothing_to_complain_about() {
    let Some(output) = helm(&["lint", "--strict", "--quiet"], &json!({})) else { return };
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(!said.contains("[WARNING]") && !said.contains("[INFO]"), "{said}");
}

#[test]
fn every_switch_adds_and_removes_what_it_says() {
    for (values, expected) in [
        (json!({}), &[][..]),
        (json!({"ingress": {"enabled": true}}), &["+Ingress/farmlokal-api"]),
        (json!({"api": {"search": {"synonyms": ["okra, bhindi"]}}}), &["+ConfigMap/farmlokal-search"]),
        (json!({"api": {"autoscaling": {"enabled": true}}}), &["+HorizontalPodAutoscaler/farmlokal-api"]),
        (
            json!({"api": {"podDisruptionBudget": {"enabled": false}}}),
            &["-PodDisruptionBudget/farmlokal-api"],
        ),
        (
            json!({"controller": {"enabled": false}}),
            &[
                "-ClusterRole/farmlokal-edit:shop",
                "-ClusterRole/farmlokal-view:shop",
                "-Deployment/farmlokal-controller",
                "-PodDisruptionBudget/farmlokal-controller",
                "-ProductCatalog/farmlokal",
                "-Role/farmlokal-controller",
                "-RoleBinding/farmlokal-controller",
                "-ServiceAccount/farmlokal-controller",
            ],
        ),
        (json!({"catalog": {"create": false}}), &["-ProductCatalog/farmlokal"]),
        (
            json!({"rbac": {"aggregate": false}}),
            &["-ClusterRole/farmlokal-edit:shop", "-ClusterRole/farmlokal-view:shop"],
        ),
        (json!({"migrate": {"enabled": false}}), &["-Job/farmlokal-migrate"]),
        (json!({"seed": {"whenEmpty": true}}), &["+Job/farmlokal-seed"]),
        (
            json!({"gateway": {"enabled": true, "parentRefs": [{"name": "public"}]}}),
            &["+HTTPRoute/farmlokal-api"],
        ),
        (json!({"api": {"service": {"type": "LoadBalancer"}}}), &["+Service/farmlokal-api-external"]),
        (
            json!({"api": {"serviceAccount": {"create": false}}, "controller": {"serviceAccount": {"create": false}}}),
            &["-ServiceAccount/farmlokal-api", "-ServiceAccount/farmlokal-controller"],
        ),
        (
            json!({"sandbox": {"enabled": true}}),
            &["+Deployment/farmlokal-sandbox", "+Secret/farmlokal", "+Service/farmlokal-sandbox"],
        ),
        (
            json!({"networkPolicy": {"enabled": true}}),
            &[
                "+NetworkPolicy/farmlokal-api",
                "+NetworkPolicy/farmlokal-controller",
                "+NetworkPolicy/farmlokal-migrate",
                "+NetworkPolicy/farmlokal-seed",
                "+NetworkPolicy/farmlokal-test",
            ],
        ),
        (
            json!({"serviceMonitor": {"enabled": true}}),
            &["+PodMonitor/farmlokal", "+ServiceMonitor/farmlokal-api"],
        ),
        (json!({"prometheusRule": {"enabled": true}}), &["+PrometheusRule/farmlokal"]),
        (json!({"dashboards": {"enabled": true}}), &["+ConfigMap/farmlokal-dashboards"]),
        (json!({"redis": {"existingSecret": "redis"}}), &[]),
        (json!({"redis": {"password": "p"}}), &["+Secret/farmlokal"]),
        // Twice the Job's password: the release's Secret is not there yet when the Job runs.
        (json!({"database": {"password": "p"}}), &["+Secret/farmlokal", "+Secret/farmlokal-migrate"]),
        (json!({"database": {"existingSecret": "db"}}), &[]),
    ] {
        let Some(objects) = render(&values) else { return };
        assert_eq!(changes(&objects), expected, "{values}");
    }
}

#[test]
fn all_that_it_can_be_told_at_once_renders_the_same_twice() {
    let values = json!({
        "database": {"password": "p"}, "redis": {"password": "p", "tls": {"enabled": true}},
        "api": {"autoscaling": {"enabled": true, "requestsPerSecond": 2000}, "config": {"CACHE_TTL": "300s"}},
        "ingress": {"enabled": true, "hosts": ["shop.example"], "tls": {"enabled": true}},
        "seed": {"whenEmpty": true}, "sandbox": {"enabled": true}, "networkPolicy": {"enabled": true},
        "serviceMonitor": {"enabled": true}, "prometheusRule": {"enabled": true}, "dashboards": {"enabled": true},
        "traces": {"endpoint": "http://collector:4318"},
    });
    let (Some(once), Some(twice)) = (render(&values), render(&values)) else { return };
    assert!(once.all.len() > 25);
    assert_eq!(once.text, twice.text);
}

#[test]
fn objects_are_named_after_the_release_and_say_whose_they_are() {
    let values = json!({"sandbox": {"enabled": true}, "networkPolicy": {"enabled": true}});
    for (release, overridden, expected) in [
        ("farmlokal", "", "farmlokal"),
        ("shop", "", "shop-farmlokal"),
        ("my-farmlokal", "", "my-farmlokal"),
        ("shop", "catalogue", "catalogue"),
    ] {
        let mut values = values.clone();
        values["fullnameOverride"] = overridden.into();
        let Some(objects) = render_as(&["template", release], &values) else { return };
        for object in &objects.all {
            let (name, metadata) = (name_of(object), &object["metadata"]);
            let own = metadata["name"].as_str().unwrap();
            assert!(own == expected || own.starts_with(&format!("{expected}-")), "{release}: {name}");
            let is_in_namespace = metadata["namespace"] == "shop" || name.ends_with(":shop");
            assert!(is_in_namespace, "{name}: {}", metadata["namespace"]);
        }
        for object in &objects.all {
            let labels = &object["metadata"]["labels"];
            assert_eq!(labels["app.kubernetes.io/name"], "farmlokal", "{}", name_of(object));
            assert_eq!(labels["app.kubernetes.io/instance"], release);
            assert_eq!(labels["app.kubernetes.io/part-of"], "farmlokal");
            assert_eq!(labels["app.kubernetes.io/managed-by"], "Helm");
            assert_eq!(labels["app.kubernetes.io/version"], env!("CARGO_PKG_VERSION"));
            let component = labels["app.kubernetes.io/component"].as_str().unwrap();
            assert!(["api", "controller", "seed", "migrate", "sandbox", "test"].contains(&component));
        }
    }
}

/// From the folder that helm, Argo CD, Flux and kustomize all install first; no release owns it.
#[test]
fn the_definition_of_catalogues_is_no_object_of_the_release() {
    let Some(objects) = render_as(&["template", "farmlokal", "--include-crds"], &json!({})) else { return };
    let names: Vec<_> = objects.of_kind("CustomResourceDefinition").map(name_of).collect();
    assert_eq!(names, ["CustomResourceDefinition/productcatalogs.farmlokal.dev"]);
    assert_eq!(objects.all[0]["kind"], "CustomResourceDefinition");
    let Some(objects) = render(&json!({})) else { return };
    assert_eq!(objects.of_kind("CustomResourceDefinition").count(), 0);
}
