//! What Kubernetes says of the objects.

use std::process::Command;

use farmlokal_chart_tests::{kubeconform, repository};

use crate::chart::{render, run, variants};

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
        // Kinds that are not installed yet cannot be tried.
        let can_be_tried = objects
            .all
            .iter()
            .filter(|object| !["ProductCatalog", "HTTPRoute"].iter().any(|kind| object["kind"] == *kind));
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
