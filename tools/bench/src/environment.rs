//! What the measurements stand on: the programs built for release, the database with its products, Redis.

use std::path::PathBuf;

use anyhow::Result;
use farmlokal_cache::{Flusher, RedisConfig};
use farmlokal_catalog::{Catalog, CatalogConfig};
use farmlokal_devstack::{Stack, StackOptions, repository};
use tokio::task::JoinSet;
use url::Url;

/// A running database with a million products, a running Redis, and the programs of this workspace.
pub(crate) struct Environment {
    pub(crate) root: PathBuf,
    pub(crate) database_url: String,
    pub(crate) redis_url: String,
    /// The servers run for as long as this lives.
    _stack: Stack,
}

impl Environment {
    /// Builds what has to be built, starts what is not there, and seeds a million products the first time.
    pub(crate) async fn up() -> Result<Environment> {
        let stack = tokio::task::spawn_blocking(|| Stack::up(&StackOptions::default())).await??;
        let root = repository();
        std::fs::create_dir_all(root.join(".devstack"))?;
        Ok(Environment {
            root,
            database_url: stack.database_url().to_owned(),
            redis_url: stack.redis_url().to_owned(),
            _stack: stack,
        })
    }

    /// A program of this workspace, built for release.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.root.join("target/release").join(name)
    }

    /// A file that lasts no longer than it is of interest.
    pub(crate) fn scratch(&self, name: &str) -> PathBuf {
        self.root.join(".devstack").join(name)
    }

    /// The URL of another database on the same server.
    pub(crate) fn database_named(&self, name: &str) -> Result<String> {
        let mut url = Url::parse(&self.database_url)?;
        url.set_path(name);
        Ok(url.into())
    }

    /// Empties every cache of every API on this Redis: what a run before has asked for is asked for anew.
    pub(crate) async fn flush_cache(&self) -> Result<()> {
        Flusher::new(&RedisConfig::new(&self.redis_url))?.flush().await?;
        Ok(())
    }

    /// The catalogue, straight on the database with this URL.
    pub(crate) fn catalog(url: &str) -> Result<Catalog> {
        let catalog = Catalog::new(CatalogConfig::new(url)?)?;
        let mut tasks = JoinSet::new();
        catalog.spawn(&mut tasks);
        // They run until the process ends.
        tasks.detach_all();
        Ok(catalog)
    }
}
