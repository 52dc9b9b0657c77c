//! `helm install` ends with everything ready, within 30 s where the images are there; `helm test` passes.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use farmlokal_testing::http::Client;
use crate::kubectl::{self, RELEASE, repository};
use crate::suite::Suite;
use crate::report::{self, say};
use crate::{PATIENCE, cluster, wait};

const GOAL: Duration = Duration::from_secs(30);

/// `helm install` or `helm upgrade` with the chart and values.yaml, until everything is ready.
pub(super) async fn helm(command: &str, values: &[&str]) -> Result<()> {
    let path = |path: &str| repository().join(path).display().to_string();
    let (chart, file) = (path("charts/farmlokal"), path("tools/e2e/values.yaml"));
    let mut arguments = vec![command, RELEASE, &chart, "--values", &file, "--wait", "--timeout", "3m"];
    for value in values {
        arguments.extend(["--set", value]);
    }
    kubectl::helm(&arguments).await?;
    Ok(())
}

pub(super) async fn run(suite: &Suite<'_>) -> Result<()> {
    // Helm installs the definition of ProductCatalog only where there is none, and an earlier run leaves its own.
    let definition = repository().join("charts/farmlokal/crds").display().to_string();
    let apply = ["apply", "--server-side", "--force-conflicts", "--filename", &definition];
    if !kubectl::run(&["get", "crd", "productcatalogs.farmlokal.dev", "--ignore-not-found"]).await?.is_empty() {
        kubectl::run(&apply).await?;
    }
    let started = Instant::now();
    helm("install", &[]).await?;
    let took = started.elapsed();
    report::figure("helm install until everything is ready", &report::time(took), "30 s", took <= GOAL);

    let selector = format!("--selector=app.kubernetes.io/instance={RELEASE}");
    let counts = "--output=jsonpath={.items[*].status.containerStatuses[*].restartCount}";
    let restarts = kubectl::run(&["get", "pods", &selector, counts]).await?;
    ensure!(restarts.split(' ').all(|count| count == "0"), "restarts of the pods: {restarts}");
    kubectl::helm(&["test", RELEASE, "--timeout", "2m"]).await?;
    say!("helm test passed");
    wait::until("the Ingress answers", PATIENCE, async || {
        let answer = Client::new(cluster::ingress().await?).get("/categories").await?;
        Ok(answer.status.is_success().then_some(()))
    })
    .await?;
    suite.edit_catalog("as installed").await?;
    suite.until_flushed().await?;
    say!("a ProductCatalog is accepted, flushed and Ready");
    Ok(())
}
