//! What the measurements stand on: the programs built for release, the database with its products, Redis.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use farmlokal_devstack::{Stack, repository};
use sqlx::MySqlPool;
use sqlx::mysql::MySqlPoolOptions;

use crate::Cli;

/// A running database with a million products, a running Redis, and the programs of this workspace.
pub(crate) struct Environment {
    pub(crate) root: PathBuf,
    /// The API that is measured.
    pub(crate) api: PathBuf,
    pub(crate) rows: u64,
    pub(crate) rounds: u8,
    /// Of each measurement of a round.
    pub(crate) duration: Duration,
    /// The servers run for as long as this lives.
    pub(crate) stack: Stack,
}

impl Environment {
    /// Builds what has to be built, starts what is not there, and seeds the products the first time.
    pub(crate) async fn up(cli: &Cli, rounds: u8, seconds: u16) -> Result<Environment> {
        let rows = cli.rows;
        let stack = tokio::task::spawn_blocking(move || Stack::up(rows)).await??;
        let root = repository();
        std::fs::create_dir_all(root.join(".devstack"))?;
        let api = cli.api.clone().unwrap_or_else(|| stack.program("farmlokal-api"));
        ensure!(api.is_file(), "{} is no program", api.display());
        Ok(Environment { root, api, rows, rounds, duration: Duration::from_secs(seconds.into()), stack })
    }

    /// A file that lasts no longer than it is of interest.
    pub(crate) fn scratch(&self, name: &str) -> PathBuf {
        self.root.join(".devstack").join(name)
    }

    /// Connections to the database, past the API.
    pub(crate) async fn database(&self, connections: u32) -> Result<MySqlPool> {
        let pool = MySqlPoolOptions::new().max_connections(connections).test_before_acquire(false);
        Ok(pool.connect(self.stack.database_url()).await?)
    }
}
