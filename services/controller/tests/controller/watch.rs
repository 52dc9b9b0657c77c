//! A watch that fails, and recovers by itself: rights that are missing, on a real API server.

use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use kube::config::Kubeconfig;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::process::eventually;

/// The account `limited`, and a kubeconfig with its token.
async fn limited(cluster: &Cluster) -> String {
    let accounts: Api<ServiceAccount> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let account = serde_json::from_value(json!({ "metadata": { "name": "limited" } })).unwrap();
    accounts.create(&PostParams::default(), &account).await.unwrap();
    let bindings: Api<RoleBinding> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let binding = json!({
        "metadata": { "name": "limited" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "limited" },
        "subjects": [{ "kind": "ServiceAccount", "name": "limited", "namespace": cluster.namespace }],
    });
    let binding = serde_json::from_value(binding).unwrap();
    bindings.create(&PostParams::default(), &binding).await.unwrap();
    let asked: TokenRequest = serde_json::from_value(json!({ "spec": { "audiences": [] } })).unwrap();
    let token = accounts.create_token_request("limited", &PostParams::default(), &asked).await.unwrap();
    let mut kubeconfig = serde_json::to_value(Kubeconfig::read_from(&cluster.kubeconfig).unwrap()).unwrap();
    for user in kubeconfig["users"].as_array_mut().unwrap() {
        user["user"] = json!({ "token": token.status.as_ref().unwrap().token });
    }
    kubeconfig.to_string()
}

/// Gives the account what the chart's Role has, but of catalogues these rights alone.
async fn may(cluster: &Cluster, verbs: &[&str]) {
    let roles: Api<Role> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": { "name": "limited" },
        "rules": [
            { "apiGroups": ["farmlokal.dev"], "resources": ["productcatalogs"], "verbs": verbs },
            { "apiGroups": ["farmlokal.dev"], "resources": ["productcatalogs/status"], "verbs": ["patch"] },
            { "apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create"] },
            { "apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"] },
            {
                "apiGroups": ["coordination.k8s.io"], "resources": ["leases"],
                "resourceNames": ["farmlokal-controller"], "verbs": ["get", "update"],
            },
        ],
    });
    roles.patch("limited", &PatchParams::apply("test").force(), &Patch::<Value>::Apply(role)).await.unwrap();
}

#[tokio::test]
async fn rights_that_are_missing_are_seen_from_outside_until_they_are_there() {
    Cluster::run(async |cluster| {
        let directory = tempfile::tempdir().unwrap();
        let kubeconfig = directory.path().join("kubeconfig");
        std::fs::write(&kubeconfig, limited(cluster).await).unwrap();
        let path = kubeconfig.to_str().unwrap();
        may(cluster, &["get", "list"]).await;
        let one = cluster.controller_with("one", &[("KUBECONFIG", path)]);
        eventually("it leads", async || one.leads()).await;
        eventually("it is not ready", async || {
            let answer = one.get("/readyz").await;
            answer.starts_with("HTTP/1.1 503") && answer.contains("ProductCatalogs cannot be watched")
        })
        .await;
        assert!(one.get("/metrics").await.contains("farmlokal_controller_watch_up 0"));
        // Nothing is there that could change: the watch that works is all that tells.
        may(cluster, &["get", "list", "watch"]).await;
        eventually("it is ready", async || one.get("/readyz").await.starts_with("HTTP/1.1 200")).await;
        assert!(one.get("/metrics").await.contains("farmlokal_controller_watch_up 1"));
        cluster.apply("main", |_| {}).await.unwrap();
        cluster.flushed("main").await;
        let log = one.log();
        assert_eq!(log.matches("ProductCatalogs cannot be watched: trying again").count(), 1, "{log}");
        assert_eq!(log.matches("ProductCatalogs are watched again").count(), 1, "{log}");
    })
    .await;
}
