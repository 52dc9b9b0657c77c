//! An index in OpenSearch as an engine, so that the same tests are for both.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use farmlokal_catalog::{Catalog, ChangePosition, IndexRow, ListQuery, SearchText};
use farmlokal_testing::{TestIndices, catalog_config};

use super::config;
use crate::{Engine, EngineError, Found, Rebuild, SearchConfig, Suggestion, opensearch::OpenSearch};

pub(super) struct Cluster(Arc<Shared>);

struct Shared {
    opensearch: OpenSearch,
    /// Has the synonyms of the search.
    config: SearchConfig,
    url: String,
    index: Mutex<Option<String>>,
    /// Of the writes.
    version: AtomicU64,
    indices: TestIndices,
}

fn opensearch(url: &str, config: &SearchConfig) -> OpenSearch {
    // Nothing here asks the database.
    let catalog = Catalog::new("mysql://u@127.0.0.1:1/d".parse().unwrap(), &catalog_config()).unwrap();
    OpenSearch::new(catalog, &url.into(), config).unwrap()
}

impl Cluster {
    pub(super) fn create(synonyms: &str) -> Option<Cluster> {
        let (indices, config) = (TestIndices::create()?, config(synonyms));
        let (url, index, version) = (indices.url(), Mutex::default(), AtomicU64::new(0));
        let opensearch = opensearch(&url, &config);
        Some(Cluster(Arc::new(Shared { opensearch, config, url, index, version, indices })))
    }

    fn index(&self) -> Result<String, EngineError> {
        self.0.index.lock().unwrap().clone().ok_or(EngineError::NotBuilt)
    }
}

impl Engine for Cluster {
    async fn search(&self, query: &ListQuery, name_key: Option<Vec<u8>>) -> Result<Found, EngineError> {
        self.0.opensearch.search(&self.index()?, 0, query, name_key.as_deref()).await
    }

    async fn suggest(&self, text: &SearchText, limit: usize) -> Result<(Vec<Suggestion>, u64), EngineError> {
        Ok((self.0.opensearch.suggest(&self.index()?, text, limit).await?, 0))
    }

    async fn apply(
        &self,
        changes: Vec<(u64, Option<IndexRow>)>,
        _: &ChangePosition,
    ) -> Result<(), EngineError> {
        let version = self.0.version.fetch_add(1, Ordering::Relaxed);
        self.0.opensearch.write(&self.index()?, changes, version, true).await.map(drop)
    }

    fn rebuild(&self) -> Result<impl Rebuild, EngineError> {
        Ok(Rebuilding { shared: Arc::clone(&self.0), rows: Vec::new() })
    }

    fn documents(&self) -> Option<u64> {
        let (url, config, index) = (self.0.url.clone(), self.0.config.clone(), self.index().ok()?);
        let count = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async { opensearch(&url, &config).client.count(&index).await.unwrap() })
        };
        Some(std::thread::spawn(count).join().unwrap())
    }

    fn memory(&self) -> u64 {
        0
    }
}

struct Rebuilding {
    shared: Arc<Shared>,
    rows: Vec<IndexRow>,
}

impl Rebuild for Rebuilding {
    async fn add(&mut self, rows: Vec<IndexRow>) -> Result<(), EngineError> {
        self.rows.extend(rows);
        Ok(())
    }

    async fn finish(self, _: &ChangePosition) -> Result<impl FnOnce() + Send + 'static, EngineError> {
        let Rebuilding { shared, rows } = self;
        let version = shared.version.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-v1-none-{version}", shared.indices.prefix);
        shared.opensearch.create(&name).await?;
        let rows = rows.into_iter().map(|row| (row.product.id, Some(row))).collect();
        shared.opensearch.write(&name, rows, version, true).await?;
        Ok(move || drop(shared.index.lock().unwrap().replace(name)))
    }
}
