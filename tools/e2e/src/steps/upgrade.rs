//! `helm upgrade` and `helm rollback` under load: no request fails, settings change and change back, each with a flush; products
//! and catalogues stay, and what kubectl has set in the chart's catalogue. An upgrade that changes nothing flushes nothing.

use std::time::Instant;

use anyhow::{Result, bail, ensure};

use super::install::helm;
use farmlokal_testing::http::Client;
use crate::kubectl::{self, RELEASE, condition};
use crate::suite::{CATALOG, Suite};
use crate::report::{self, say};
use crate::{PATIENCE, cluster, wait};

const NEW: &str = "api.config.HTTP_MAX_AGE=7s";
/// The chart's own, see its catalog.yaml.
const CHARTS_CATALOG: &str = "productcatalog/farmlokal";

pub(super) async fn run(suite: &Suite<'_>) -> Result<()> {
    let (catalog, rows) = state(suite).await?;
    let before = until_max_age(|_| true).await?;
    kubectl::run(&["annotate", CHARTS_CATALOG, "--overwrite", "farmlokal.dev/flush-requested-at=before the upgrade"])
        .await?;
    let charts = until_flushed_anew("").await?;
    suite
        .under_load(async {
            let started = Instant::now();
            helm("upgrade", &[NEW]).await?;
            let now = until_max_age(|now| now.contains("max-age=")).await?;
            report::done(&format!("upgraded, Cache-Control is `{now}` instead of `{before}`,"), started);
            Ok(())
        })
        .await?;
    let upgraded = until_flushed_anew(&charts).await?;
    suite
        .under_load(async {
            let started = Instant::now();
            kubectl::helm(&["rollback", RELEASE, "--wait", "--timeout", "3m"]).await?;
            until_max_age(|now| now == before).await?;
            report::done("rolled back", started);
            Ok(())
        })
        .await?;
    ensure!(until_flushed_anew(&upgraded).await? == charts, "the rollback has another version than before");
    let generation = async || kubectl::field(CHARTS_CATALOG, ".metadata.generation").await;
    let before = generation().await?;
    helm("upgrade", &[]).await?;
    ensure!(generation().await? == before, "an upgrade that changes nothing asks for a flush");
    let request = kubectl::field(CHARTS_CATALOG, ".metadata.annotations.farmlokal\\.dev/flush-requested-at").await?;
    ensure!(request == "before the upgrade", "the annotation of kubectl is {request:?}");
    say!("the chart's ProductCatalog was flushed by either, and kept its annotation");
    ensure!(state(suite).await? == (catalog, rows), "the catalogue or the products are others than before");
    say!("a ProductCatalog that is not the chart's is the same object, and every product is there");
    Ok(())
}

/// A catalogue that helm does not manage would be gone with its definition, were that made anew.
async fn state(suite: &Suite<'_>) -> Result<(String, String)> {
    Ok((
        kubectl::field(CATALOG, ".metadata.uid").await?,
        suite.sql("SELECT COUNT(*) FROM products").await?,
    ))
}

/// Waits until the chart's catalogue has another version than this and was flushed for it; returns the version.
async fn until_flushed_anew(old: &str) -> Result<String> {
    wait::until("the chart's ProductCatalog flushed anew", PATIENCE, async || {
        let catalog = kubectl::json(&["get", CHARTS_CATALOG]).await?;
        let version = catalog["spec"]["version"].as_str().unwrap_or_default();
        let flushed = catalog["status"]["flushedGeneration"] == catalog["metadata"]["generation"];
        Ok((version != old && flushed && condition(&catalog, "Flushed")).then(|| version.to_owned()))
    })
    .await
}

/// Kubernetes takes a moment to tell every node where the Service's pods are now.
async fn until_max_age(wanted: impl Fn(&str) -> bool) -> Result<String> {
    wait::until("the setting in effect", PATIENCE, async || {
        // A connection of its own: it may not be one to a pod on its way out.
        let answer = Client::new(cluster::service().await?).get("/products").await?;
        let now = answer.header("cache-control").to_owned();
        if wanted(&now) { Ok(Some(now)) } else { bail!("Cache-Control is {now}") }
    })
    .await
}
