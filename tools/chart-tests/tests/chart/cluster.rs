//! What Kubernetes says of the objects.

use std::process::Command;

use farmlokal_chart_tests::{NEW, OLDEST, kubeconform, repository};

use crate::chart::{render, run, variants};

/// Of the oldest Kubernetes that the chart allows, and of a new one.
#[test]
fn every_object_keeps_to_its_schema() {
    let file = |name: &str| std::fs::read_to_string(repository("charts/farmlokal").join(name)).unwrap();
    let (minor, _) = OLDEST.rsplit_once('.').unwrap();
    assert!(file("Chart.yaml").contains(&format!("\nkubeVersion: \">={minor}.0-0\"\n")), "{OLDEST}");
    let definition = file("crds/productcatalogs.yaml");
    for values in variants() {
        let Some(objects) = render(&values) else { return };
        for kubernetes in [OLDEST, NEW] {
            let Some(kubeconform) = kubeconform(kubernetes) else { return };
            let output = run(kubeconform, &format!("{definition}\n---\n{}", objects.text));
            let (said, error) =
                (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert!(output.status.success(), "{kubernetes}: {values}: {said}{error}");
            assert!(said.contains("Invalid: 0, Errors: 0"), "{said}");
        }
    }
}

#[test]
fn a_field_that_there_is_not_is_found() {
    let bad = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {port: 1}\n";
    let Some(kubeconform) = kubeconform(NEW) else { return };
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
