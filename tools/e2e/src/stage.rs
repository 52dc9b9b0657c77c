//! What is there before the first step: a namespace with a database, Redis and a client in it, and nothing of an earlier run.

use anyhow::Result;

use crate::cluster::{Cluster, ingress_node};
use crate::kubectl::{self, NAMESPACE, RELEASE};
use crate::{PATIENCE, steps, wait};

const MANIFESTS: [&str; 3] = [
    include_str!("../manifests/database.yaml"),
    include_str!("../manifests/redis.yaml"),
    include_str!("../manifests/client.yaml"),
];

/// Clears what an earlier run left, then brings up the database, Redis and the client.
///
/// # Errors
/// One of them does not come up.
pub(crate) async fn prepare(cluster: &Cluster) -> Result<()> {
    clear().await?;
    kubectl::run(&["create", "namespace", NAMESPACE]).await?;
    kubectl::run(&["create", "serviceaccount", "e2e-nobody"]).await?;
    let default = async || kubectl::run(&["get", "serviceaccount", "default"]).await.map(Some);
    wait::until("the default ServiceAccount", PATIENCE, default).await?;
    let (args, node) = (&cluster.args, ingress_node().await?);
    let values = [
        ("DATABASE", &*args.database_image),
        ("REDIS", &*args.redis_image),
        ("CLIENT", &*args.client_image),
        ("NODE", &*node),
        ("PASSWORD", "not-a-secret"),
    ];
    for manifest in MANIFESTS {
        let fill = |text: String, (name, value): &(&str, &str)| text.replace(&format!("${{{name}}}"), value);
        kubectl::apply(&values.iter().fold(manifest.to_owned(), fill)).await?;
    }
    for deployment in ["deployment/e2e-database", "deployment/e2e-redis"] {
        kubectl::run(&["rollout", "status", deployment, "--timeout=180s"]).await?;
    }
    kubectl::run(&["wait", "--for=condition=Ready", "pod/e2e-client", "--timeout=60s"]).await?;
    Ok(())
}

/// Removes the release and the namespace.
///
/// # Errors
/// They do not go.
pub(crate) async fn clear() -> Result<()> {
    kubectl::helm(&["uninstall", RELEASE, "--ignore-not-found", "--no-hooks", "--wait", "--timeout", "2m"])
        .await?;
    kubectl::run(&["delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=120s"]).await?;
    steps::clear_applied().await
}
