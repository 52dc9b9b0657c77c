//! The controller: its Deployment, its rights, the catalogue.

use serde_json::{Value, json};

use crate::chart::{env, refusal, render, render_as, secret_of};

/// Each right that it has, no more: a right that is added has to be added here. None on Secrets, none outside of the release's
/// namespace.
#[test]
fn its_rights_are_these_and_no_others() {
    let Some(objects) = render(&json!({})) else { return };
    let rules = json!([
        {"apiGroups": ["farmlokal.dev"], "resources": ["productcatalogs"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["farmlokal.dev"], "resources": ["productcatalogs/status"], "verbs": ["patch"]},
        {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create"]},
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]},
        {
            "apiGroups": ["coordination.k8s.io"], "resources": ["leases"],
            "resourceNames": ["farmlokal-controller"], "verbs": ["get", "update"],
        },
    ]);
    assert_eq!(objects.get("Role", "farmlokal-controller")["rules"], rules);
    for (kind, count) in [("Role", 1), ("RoleBinding", 1), ("Lease", 0), ("ClusterRoleBinding", 0)] {
        assert_eq!(objects.of_kind(kind).count(), count, "{kind}");
    }
    let binding = objects.get("RoleBinding", "farmlokal-controller");
    assert_eq!(binding["roleRef"]["kind"], "Role");
    assert_eq!(binding["roleRef"]["name"], "farmlokal-controller");
    let account = json!([{"kind": "ServiceAccount", "name": "farmlokal-controller", "namespace": "shop"}]);
    assert_eq!(binding["subjects"], account);
    for kind in ["Role", "RoleBinding", "ProductCatalog"] {
        assert!(objects.of_kind(kind).all(|object| object["metadata"]["namespace"] == "shop"), "{kind}");
    }
    let variable = |name| env(objects.container("farmlokal-controller"), name);
    assert_eq!(variable("LEASE_NAME")["value"], "farmlokal-controller");
    assert_eq!(variable("RELEASE")["value"], "farmlokal");
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

/// Whoever may edit a namespace may flush there; names differ from release to release, since these belong to the cluster.
#[test]
fn roles_of_a_namespace_have_their_rights_on_catalogues() {
    let Some(objects) = render(&json!({})) else { return };
    let to = |role: &Value| {
        let labels = role["metadata"]["labels"].as_object().unwrap();
        let to =
            labels.keys().filter_map(|label| label.strip_prefix("rbac.authorization.k8s.io/aggregate-to-"));
        to.map(str::to_owned).collect::<Vec<_>>()
    };
    for (name, expected, verbs) in [
        ("farmlokal-view:shop", &["admin", "edit", "view"][..], json!(["get", "list", "watch"])),
        (
            "farmlokal-edit:shop",
            &["admin", "edit"],
            json!(["create", "delete", "deletecollection", "patch", "update"]),
        ),
    ] {
        let role = objects.get("ClusterRole", name);
        assert_eq!(to(role), expected, "{name}");
        let right = json!({"apiGroups": ["farmlokal.dev"], "resources": ["productcatalogs"], "verbs": verbs});
        assert_eq!(role["rules"], json!([right]), "{name}");
    }
}

#[test]
fn the_times_of_the_lease_are_values_that_go_together() {
    let lease =
        |duration, period| json!({"controller": {"lease": {"duration": duration, "retryPeriod": period}}});
    let Some(objects) = render(&lease("30s", "5s")) else { return };
    let container = objects.container("farmlokal-controller");
    assert_eq!(env(container, "LEASE_DURATION")["value"], "30s");
    assert_eq!(env(container, "LEASE_RETRY_PERIOD")["value"], "5s");
    let Some(refused) = refusal(&lease("8s", "8s")) else { return };
    assert!(refused.contains("controller.lease.retryPeriod is 8s"), "{refused}");
    let Some(refused) = refusal(&lease("500ms", "1s")) else { return };
    assert!(refused.contains("duration"), "{refused}");
}

/// A plain object: no hook, and nothing in it that differs from one rendering of the same to the next.
#[test]
fn the_catalogue_names_its_release_and_what_its_answers_are_made_by() {
    let Some(objects) = render_as(&["template", "shop"], &json!({"catalog": {"displayName": "Our shop"}}))
    else {
        return;
    };
    let catalogs: Vec<_> = objects.of_kind("ProductCatalog").collect();
    assert_eq!(catalogs.len(), 1);
    let version = catalogs[0]["spec"]["version"].clone();
    assert_eq!(
        catalogs[0]["spec"],
        json!({"release": "shop-farmlokal", "displayName": "Our shop", "version": version})
    );
    let annotations = catalogs[0]["metadata"]["annotations"].as_object().unwrap();
    assert!(
        annotations.keys().all(|key| !key.starts_with("helm.sh/") && !key.contains("flush")),
        "{annotations:?}"
    );
    assert_eq!(env(objects.container("shop-farmlokal-controller"), "RELEASE")["value"], "shop-farmlokal");
}

#[test]
fn an_upgrade_flushes_where_it_changes_the_answers_and_nowhere_else() {
    let version = |values: Value| {
        let objects = render(&values)?;
        Some(objects.get("ProductCatalog", "farmlokal")["spec"]["version"].as_str().unwrap().to_owned())
    };
    let Some(before) = version(json!({})) else { return };
    assert!(before.starts_with(concat!(env!("CARGO_PKG_VERSION"), "-")), "{before}");
    for values in [
        json!({"image": {"tag": "9.9.9"}}),
        json!({"api": {"config": {"HTTP_MAX_AGE": "7s"}}}),
        json!({"api": {"search": {"synonyms": ["okra, bhindi"]}}}),
        json!({"api": {"extraEnv": [{"name": "A", "value": "b"}]}}),
        json!({"api": {"envFrom": [{"secretRef": {"name": "more"}}]}}),
        json!({"database": {"name": "other"}}),
    ] {
        assert_ne!(version(values.clone()).unwrap(), before, "{values}");
    }
    for values in [
        json!({}),
        json!({"api": {"replicas": 5}, "redis": {"password": "p"}}),
        json!({"catalog": {"displayName": "Our shop"}}),
        json!({"controller": {"replicas": 3}}),
    ] {
        assert_eq!(version(values.clone()).unwrap(), before, "{values}");
    }
}

/// Where the value is false the chart leaves the field to `kubectl patch`: both would fight over it otherwise.
#[test]
fn the_catalogue_is_suspended_by_a_value() {
    for (suspend, expected) in [(true, json!(true)), (false, Value::Null)] {
        let Some(objects) = render(&json!({"catalog": {"suspend": suspend}})) else { return };
        assert_eq!(objects.get("ProductCatalog", "farmlokal")["spec"]["suspend"], expected);
    }
}
