//! What Kubernetes says of the objects.

use std::process::Command;

use farmlokal_chart_tests::{kubeconform, repository};
use serde_json::{Value, json};

use crate::chart::{render, run};

/// Values that together switch everything on and off.
fn variants() -> Vec<Value> {
    let everything = json!({
        "fullnameOverride": "shop", "imagePullSecrets": [{"name": "registry"}],
        "pods": {"labels": {"a": "b"}, "annotations": {"a": "b"}, "nodeSelector": {"a": "b"}, "priorityClassName": "high",
            "tolerations": [{"key": "a", "operator": "Exists"}], "affinity": {"nodeAffinity": {}}},
        "database": {"password": "p", "tls": {"mode": "REQUIRED"}},
        "redis": {"username": "u", "password": "p", "tls": {"enabled": true}},
        "api": {
            "autoscaling": {"enabled": true, "requestsPerSecond": 2000}, "extraEnv": [{"name": "A", "value": "b"}],
            "search": {"synonyms": ["okra, bhindi"]},
            "podDisruptionBudget": {"maxUnavailable": "25%"},
        },
        "ingress": {"enabled": true, "className": "traefik", "host": "shop.example", "tls": {"enabled": true}},
        "controller": {"extraEnv": [{"name": "A", "value": "b"}]},
        "migrate": {"envFrom": [{"secretRef": {"name": "more"}}], "extraVolumes": [{"name": "v", "emptyDir": {}}],
            "extraVolumeMounts": [{"name": "v", "mountPath": "/v"}]},
        "seed": {"onInstall": true}, "sandbox": {"enabled": true},
        "networkPolicy": {"enabled": true, "ingressFrom": [{"namespaceSelector": {}}], "monitoringFrom": [{"podSelector": {}}],
            "databaseTo": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "extraEgress": [{"ports": [{"port": 1}]}]},
        "serviceMonitor": {"enabled": true}, "prometheusRule": {"enabled": true}, "dashboards": {"enabled": true},
        "traces": {"endpoint": "http://collector:4318"},
    });
    let existing = json!({
        "database": {"existingSecret": "db", "urlKey": "url",
            "tls": {"existingSecret": "tls", "certKey": "tls.crt", "keyKey": "tls.key"}},
        "redis": {"existingSecret": "redis", "tls": {"enabled": true, "existingSecret": "tls"}},
        "partners": {"existingSecret": "p", "oauth": {"tokenUrl": "https://id.example/t", "clientId": "c"}},
        "api": {"podDisruptionBudget": {"enabled": false}, "topologySpread": []},
        "ingress": {"enabled": true}, "migrate": {"enabled": false}, "rbac": {"aggregate": false},
    });
    let least = json!({"controller": {"enabled": false}, "catalog": {"create": false}});
    vec![json!({}), everything, existing, least]
}

#[test]
fn every_object_keeps_to_its_schema() {
    for values in variants() {
        let Some(objects) = render(&values) else { return };
        let Some(kubeconform) = kubeconform() else { return };
        let output = run(kubeconform, &objects.text);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{values}: {said}{}", String::from_utf8_lossy(&output.stderr));
        assert!(said.contains("Invalid: 0, Errors: 0"), "{said}");
    }
}

#[test]
fn a_field_that_there_is_not_is_found() {
    let bad = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {port: 1}\n";
    let Some(kubeconform) = kubeconform() else { return };
    let said = String::from_utf8(run(kubeconform, bad).stdout).unwrap();
    assert!(said.contains("additional properties 'port' not allowed"), "{said}");
}

#[test]
#[ignore = "needs the cluster of the current kubeconfig, with the definitions of the Prometheus operator"]
fn an_api_server_takes_every_object() {
    let kubectl = |args: &[&str], input: &str| {
        let mut kubectl = Command::new("kubectl");
        kubectl.args(args);
        run(kubectl, input)
    };
    let crd = std::fs::read_to_string(repository("charts/farmlokal/crds/productcatalogs.yaml")).unwrap();
    for values in variants() {
        let objects = render(&values).unwrap();
        // Kinds that are not installed yet cannot be tried, nor can a pod without its account.
        let can_be_tried =
            objects.all.iter().filter(|object| object["kind"] != "ProductCatalog" && object["kind"] != "Pod");
        for object in can_be_tried {
            let mut object = object.clone();
            if object["metadata"].get("namespace").is_some() {
                object["metadata"]["namespace"] = "default".into();
            }
            let output =
                kubectl(&["apply", "--dry-run=server", "--validate=strict", "-f", "-"], &object.to_string());
            assert!(output.status.success(), "{object}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
    assert!(kubectl(&["apply", "--dry-run=server", "-f", "-"], &crd).status.success());
}
