//! The controller: its Deployment, its rights, the catalogue.

use serde_json::{Value, json};

use crate::chart::{env, render, secret_of};

/// Each right that it has, no more: a right that is added has to be added here. None on Secrets, none outside of the release's
/// namespace.
#[test]
fn its_rights_are_these_and_no_others() {
    let Some(objects) = render(&json!({})) else { return };
    let rules = json!([
        {"apiGroups": ["farmlokal.dev"], "resources": ["productcatalogs"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["farmlokal.dev"], "resources": ["productcatalogs/status"], "verbs": ["patch"]},
        {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create"]},
        {
            "apiGroups": ["coordination.k8s.io"], "resources": ["leases"],
            "resourceNames": ["farmlokal-controller"], "verbs": ["get", "update"],
        },
    ]);
    assert_eq!(objects.get("Role", "farmlokal-controller")["rules"], rules);
    for (kind, count) in [("Role", 1), ("RoleBinding", 1), ("ClusterRole", 0), ("ClusterRoleBinding", 0)] {
        assert_eq!(objects.of_kind(kind).count(), count, "{kind}");
    }
    let binding = objects.get("RoleBinding", "farmlokal-controller");
    assert_eq!(binding["roleRef"]["kind"], "Role");
    assert_eq!(binding["roleRef"]["name"], "farmlokal-controller");
    let account = json!([{"kind": "ServiceAccount", "name": "farmlokal-controller", "namespace": "shop"}]);
    assert_eq!(binding["subjects"], account);
    for kind in ["Role", "RoleBinding", "Lease", "ProductCatalog"] {
        assert!(objects.of_kind(kind).all(|object| object["metadata"]["namespace"] == "shop"), "{kind}");
    }
    let variable = |name| env(objects.container("farmlokal-controller"), name);
    assert_eq!(variable("LEASE_NAME")["value"], "farmlokal-controller");
    assert_eq!(variable("POD_NAMESPACE")["valueFrom"]["fieldRef"]["fieldPath"], "metadata.namespace");
}

#[test]
fn it_has_what_it_needs_of_the_secrets_and_settings_of_its_own() {
    let extra = json!([{"name": "LOG_LEVEL", "value": "debug"}]);
    let values = json!({"controller": {"replicas": 3, "extraEnv": extra},
        "database": {"password": "p"}, "redis": {"password": "p"}});
    let Some(objects) = render(&values) else { return };
    let container = objects.container("farmlokal-controller");
    assert_eq!(objects.get("Deployment", "farmlokal-controller")["spec"]["replicas"], 3);
    assert_eq!(env(container, "LOG_LEVEL")["value"], "debug");
    assert_eq!(secret_of(container, "REDIS_PASSWORD"), "farmlokal/REDIS_PASSWORD");
    let text = container.to_string();
    assert!(!text.contains("DB_") && !text.contains("envFrom"), "{text}");
}

#[test]
fn its_probes_ask_three_things() {
    let Some(objects) = render(&json!({})) else { return };
    let container = objects.container("farmlokal-controller");
    assert_eq!(container["startupProbe"]["tcpSocket"]["port"], "management");
    assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/readyz");
    assert_eq!(container["livenessProbe"]["httpGet"]["path"], "/livez");
}

/// Helm looks up every kind before it makes anything: only a hook can use a definition of the same release.
#[test]
fn the_catalogue_comes_after_its_definition_and_goes_before_it() {
    let Some(objects) = render(&json!({"catalog": {"displayName": "Our shop"}})) else { return };
    let catalogs: Vec<_> = objects.of_kind("ProductCatalog").collect();
    let hook =
        |catalog: &Value, key: &str| catalog["metadata"]["annotations"][key].as_str().unwrap().to_owned();
    let hooks: Vec<_> = catalogs.iter().map(|catalog| hook(catalog, "helm.sh/hook")).collect();
    assert_eq!(hooks, ["post-install,post-upgrade,post-rollback", "pre-delete"]);
    let policies: Vec<_> =
        catalogs.iter().map(|catalog| hook(catalog, "helm.sh/hook-delete-policy")).collect();
    assert_eq!(policies, ["before-hook-creation", "before-hook-creation,hook-succeeded"]);
    assert_eq!(catalogs[0]["spec"], json!({"displayName": "Our shop", "suspend": false}));
    // Nothing is flushed because it goes.
    assert_eq!(catalogs[1]["spec"]["suspend"], true);
    assert!(catalogs.iter().all(|catalog| catalog["metadata"]["name"] == "farmlokal"));
}

/// Every upgrade makes it anew, so what `kubectl` has set would be lost.
#[test]
fn the_catalogue_is_suspended_by_a_value() {
    let Some(objects) = render(&json!({"catalog": {"suspend": true}})) else { return };
    let expected = json!({"displayName": "FarmLokal", "suspend": true});
    assert!(objects.of_kind("ProductCatalog").all(|catalog| catalog["spec"] == expected));
}
