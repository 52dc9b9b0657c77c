//! For tests: a database of its own for each.

use sqlx::{Connection as _, MySqlConnection, MySqlPool, mysql::MySqlConnectOptions};

use crate::{CatalogConfig, migrate};

/// A migrated database with a random name, on the server that `DATABASE_URL` names. Dropped when this is.
pub struct TestDatabase {
    /// How to reach it.
    pub options: MySqlConnectOptions,
    name: String,
}

impl TestDatabase {
    /// Creates and migrates it.
    ///
    /// # Panics
    /// Without a server: a test has nothing else to do then.
    pub async fn create() -> TestDatabase {
        let database = TestDatabase::create_empty().await;
        migrate(database.options.clone()).await.unwrap_or_else(|error| panic!("cannot migrate: {error}"));
        database
    }

    /// One without tables.
    ///
    /// # Panics
    /// Without a server.
    pub async fn create_empty() -> TestDatabase {
        let url = std::env::var("DATABASE_URL")
            .unwrap_or_else(|_| panic!("DATABASE_URL is not set: `make test` starts a database and sets it"));
        let options: MySqlConnectOptions =
            url.parse().unwrap_or_else(|error| panic!("DATABASE_URL: {error}"));
        let name = format!("test_{:016x}", unique());
        let statement = format!("CREATE DATABASE {name}");
        let mut connection = MySqlConnection::connect_with(&options)
            .await
            .unwrap_or_else(|error| panic!("DATABASE_URL: {error}"));
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
            .execute(&mut connection)
            .await
            .unwrap_or_else(|error| panic!("cannot create a database: {error}"));
        TestDatabase { options: options.database(&name), name }
    }

    /// A catalogue's settings for it.
    #[must_use]
    pub fn config(&self) -> CatalogConfig {
        CatalogConfig::with(self.options.clone())
    }

    /// Its URL, as `DATABASE_URL` gives one.
    ///
    /// # Panics
    /// If `DATABASE_URL` was taken away.
    #[must_use]
    pub fn url(&self) -> String {
        let url = std::env::var("DATABASE_URL").unwrap_or_default();
        let (server, _) = url.rsplit_once('/').unwrap_or_else(|| panic!("DATABASE_URL names no database"));
        format!("{server}/{}", self.name)
    }

    /// A pool for statements of the test's own.
    #[must_use]
    pub fn pool(&self) -> MySqlPool {
        MySqlPool::connect_lazy_with(crate::config::connect_options(self.options.clone()))
    }
}

/// Two test processes may start within one clock tick, and two tests within one process.
fn unique() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(std::process::id())
}

impl Drop for TestDatabase {
    /// On a thread with a runtime of its own: a test may drop this inside its runtime, which must not block.
    fn drop(&mut self) {
        let options = self.options.clone();
        let statement = format!("DROP DATABASE IF EXISTS {}", self.name);
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut connection = MySqlConnection::connect_with(&options).await?;
                sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await?;
                connection.close().await
            })
        });
        if !matches!(dropped.join(), Ok(Ok(()))) {
            tracing::warn!(database = self.name, "a test database was left behind");
        }
    }
}
