//! What every step works with.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::cluster::{self, Cluster};
use crate::kubectl::{self, Pod, RELEASE, condition};
use crate::load::Load;
use crate::redis::{self, Redis};
use crate::{PATIENCE, wait};
use farmlokal_testing::http::Client;

/// Products in the catalogue.
pub(crate) const ROWS: u64 = 20_000;
/// Requests in each step under load, at the least.
const REQUESTS: u64 = 10_000;
/// Replicas of the API.
pub(crate) const API_PODS: usize = 3;
/// The `ProductCatalog` that these tests edit, beside the chart's own.
pub(crate) const CATALOG: &str = "productcatalog/e2e";

/// A cluster with a database and Redis in it.
pub(crate) struct Suite<'a> {
    pub(crate) cluster: &'a Cluster,
}

impl Suite<'_> {
    /// Runs `disturb` under load through the Service and the Ingress.
    ///
    /// # Errors
    /// It failed, or a request did.
    pub(crate) async fn under_load<T>(&self, disturb: impl Future<Output = Result<T>>) -> Result<T> {
        self.load().await?.during(REQUESTS, async |_| disturb.await).await
    }

    /// The same with a disturbance that is over sooner: again and again, until so many requests were sent during it.
    ///
    /// # Errors
    /// It failed, or a request did.
    pub(crate) async fn under_load_repeatedly(&self, disturb: impl AsyncFn() -> Result<()>) -> Result<()> {
        let repeat = async |load: &Load| {
            let enough = load.sent().await + REQUESTS;
            while load.sent().await < enough {
                disturb().await?;
            }
            Ok(())
        };
        self.load().await?.during(REQUESTS, repeat).await
    }

    /// Through the Service and the Ingress; it has begun.
    async fn load(&self) -> Result<Load> {
        let targets = [cluster::service().await?, cluster::ingress().await?];
        Ok(Load::start(&targets, &paths()))
    }

    /// Runs one SQL statement; returns what it selected.
    pub(crate) async fn sql(&self, statement: &str) -> Result<String> {
        let client = r#"$(command -v mysql || command -v mariadb) --no-defaults --socket=/data/mysqld.sock \
            --user=farmlokal --password="$PASSWORD" --skip-column-names farmlokal --execute "$0""#;
        let said = kubectl::exec("deployment/e2e-database", &["sh", "-c", client, statement]).await?;
        Ok(said.trim().to_owned())
    }

    /// A connection to Redis's pod.
    pub(crate) async fn redis(&self) -> Result<Redis> {
        let pod = self.redis_pod().await?;
        redis::connect(&cluster::pod(&pod, 6379)).await
    }

    /// Redis's pod.
    pub(crate) async fn redis_pod(&self) -> Result<Pod> {
        let list = kubectl::json(&["get", "pods", "--selector=app=e2e-redis"]).await?;
        Ok(kubectl::pod(kubectl::items(&list).first().context("no Redis pod")?))
    }

    /// The ready pods of the API: all of them.
    pub(crate) async fn api_pods(&self) -> Result<Vec<Pod>> {
        wait::until("three API pods ready", PATIENCE, async || {
            let pods = kubectl::ready_pods("api").await?;
            Ok((pods.len() == API_PODS).then_some(pods))
        })
        .await
    }

    /// Waits until the catalogue's last change has been handled by a flush; returns the catalogue.
    pub(crate) async fn until_flushed(&self) -> Result<Value> {
        wait::until("the catalogue flushed", PATIENCE, async || {
            let catalog = kubectl::json(&["get", CATALOG]).await?;
            let handled = catalog["status"]["flushedGeneration"] == catalog["metadata"]["generation"];
            Ok((handled && condition(&catalog, "Flushed") && condition(&catalog, "Ready")).then_some(catalog))
        })
        .await
    }

    /// A metric of these pods together, over all series that have this label.
    pub(crate) async fn metric(&self, pods: &[Pod], name: &str, label: &str) -> Result<f64> {
        let mut sum = 0.0;
        for pod in pods {
            let page = Client::new(cluster::pod(pod, 9090)).get("/metrics").await?;
            ensure!(page.status.is_success(), "{}: /metrics: {}", pod.name, page.status);
            let series = page.text().lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
            let series = series.filter(|line| line.contains(label));
            sum += series.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>();
        }
        Ok(sum)
    }

    /// Changes the catalogue's spec, so that it has to be flushed.
    pub(crate) async fn edit_catalog(&self, description: &str) -> Result<()> {
        kubectl::apply(&catalog(description)).await
    }
}

/// The manifest of the `ProductCatalog` that these tests edit.
pub(crate) fn catalog(description: &str) -> String {
    let (kind, name) = ("ProductCatalog", CATALOG.rsplit('/').next());
    serde_json::json!({
        "apiVersion": "farmlokal.dev/v1alpha1", "kind": kind, "metadata": {"name": name},
        "spec": {"release": RELEASE, "displayName": "Edited by the end-to-end tests", "description": description},
    })
    .to_string()
}

/// What the load asks for: lists in every sort, and items. Some two hundred answers, so most are cached.
fn paths() -> Vec<String> {
    let lists = (0..20).map(|page| format!("/products?limit=20&cursor={}", page * 20));
    let sorted = ["price", "name", "createdAt"].iter().flat_map(|sort| {
        ["ASC", "DESC"].map(|order| format!("/products?sort={sort}&order={order}&limit=10"))
    });
    let filtered =
        ["sports", "fruit", "dairy"].iter().map(|name| format!("/products?category={name}&limit=20"));
    let items = (1..=170).map(|index| format!("/products/{}", index * 100));
    lists.chain(sorted).chain(filtered).chain(items).chain(["/categories".to_owned()]).collect()
}
