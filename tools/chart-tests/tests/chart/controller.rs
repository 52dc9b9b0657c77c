//! The controller: its Deployment, its rights, the catalogue.

use serde_json::{Value, json};

use crate::chart::{Objects, env, render, secret_of};

#[track_caller]
fn rules(objects: &Objects, kind: &str, name: &str) -> Value {
    objects.get(kind, name)["rules"].clone()
}

fn catalog_rules() -> Vec<Value> {
    vec![
        json!({"apiGroups": ["farmlokal.dev"], "resources": ["productcatalogs"], "verbs": ["get", "list", "watch"]}),
        json!({"apiGroups": ["farmlokal.dev"], "resources": ["productcatalogs/status"], "verbs": ["patch"]}),
        json!({"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create"]}),
    ]
}

/// Each right that it has, no more: a right that is added has to be added here.
#[test]
fn its_rights_are_these_and_no_others() {
    let Some(objects) = render(&json!({})) else { return };
    assert_eq!(rules(&objects, "Role", "farmlokal-controller"), json!(catalog_rules()));
    let lease = json!([
        {
            "apiGroups": ["coordination.k8s.io"], "resources": ["leases"],
            "resourceNames": ["farmlokal-controller"], "verbs": ["get", "update"],
        },
    ]);
    assert_eq!(rules(&objects, "Role", "farmlokal-controller-lease"), lease);
    assert_eq!(objects.of_kind("Role").count(), 2);
    assert_eq!(objects.of_kind("ClusterRole").count() + objects.of_kind("ClusterRoleBinding").count(), 0);
    for name in ["farmlokal-controller", "farmlokal-controller-lease"] {
        let binding = objects.get("RoleBinding", name);
        assert_eq!(binding["roleRef"]["kind"], "Role");
        assert_eq!(binding["roleRef"]["name"], name);
        let account =
            json!([{"kind": "ServiceAccount", "name": "farmlokal-controller", "namespace": "shop"}]);
        assert_eq!(binding["subjects"], account);
    }
    let variable = &env(objects.container("farmlokal-controller"), "LEASE_NAME")["value"];
    assert_eq!(variable, "farmlokal-controller");
}

#[test]
fn it_reads_the_secrets_that_are_named_and_no_others() {
    let Some(objects) = render(&json!({"controller": {"redisSecrets": ["other-redis"]}})) else { return };
    let mut expected = catalog_rules();
    expected.push(json!({"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["other-redis"], "verbs": ["get"]}));
    assert_eq!(rules(&objects, "Role", "farmlokal-controller"), json!(expected));
}

#[test]
fn its_rights_are_where_its_catalogues_are() {
    let Some(objects) = render(&json!({"controller": {"watchNamespace": "other"}})) else { return };
    let namespace = |kind, name| objects.get(kind, name)["metadata"]["namespace"].as_str().unwrap();
    for kind in ["Role", "RoleBinding"] {
        assert_eq!(namespace(kind, "farmlokal-controller"), "other");
        assert_eq!(namespace(kind, "farmlokal-controller-lease"), "shop");
    }
    assert_eq!(namespace("ProductCatalog", "farmlokal"), "other");
    assert_eq!(env(objects.container("farmlokal-controller"), "WATCH_NAMESPACE")["value"], "other");

    let objects = render(&json!({"controller": {"watchNamespace": "*"}})).unwrap();
    assert_eq!(rules(&objects, "ClusterRole", "shop-farmlokal-controller"), json!(catalog_rules()));
    let binding = objects.get("ClusterRoleBinding", "shop-farmlokal-controller");
    assert_eq!(binding["roleRef"]["name"], "shop-farmlokal-controller");
    assert_eq!(binding["subjects"][0]["namespace"], "shop");
    assert!(objects.find("Role", "farmlokal-controller").is_none());
    assert!(objects.find("Role", "farmlokal-controller-lease").is_some());
    assert_eq!(objects.get("ProductCatalog", "farmlokal")["metadata"]["namespace"], "shop");
    assert_eq!(env(objects.container("farmlokal-controller"), "WATCH_NAMESPACE")["value"], "*");

    let objects = render(&json!({})).unwrap();
    assert_eq!(env(objects.container("farmlokal-controller"), "WATCH_NAMESPACE")["value"], "shop");
}

#[test]
fn it_has_what_it_needs_of_the_secrets_and_settings_of_its_own() {
    let extra = json!([{"name": "LOG_LEVEL", "value": "debug"}]);
    let values = json!({"controller": {"replicas": 3, "extraEnv": extra}, "database": {"password": "p"}});
    let Some(objects) = render(&values) else { return };
    let container = objects.container("farmlokal-controller");
    assert_eq!(objects.get("Deployment", "farmlokal-controller")["spec"]["replicas"], 3);
    assert_eq!(env(container, "LOG_LEVEL")["value"], "debug");
    assert_eq!(secret_of(container, "REDIS_URL"), "farmlokal/REDIS_URL");
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
fn the_catalogue_is_suspended_and_narrowed_by_values() {
    let values = json!({"catalog": {"suspend": true, "keyPattern": "products:*:list:*"}});
    let Some(objects) = render(&values) else { return };
    let expected = json!({"displayName": "FarmLokal", "suspend": true, "keyPattern": "products:*:list:*"});
    assert!(objects.of_kind("ProductCatalog").all(|catalog| catalog["spec"] == expected));
}
