//! A database for each test.

use farmlokal_catalog::{Catalog, CatalogConfig, migrate};
use sqlx::{Connection as _, MySqlConnection, MySqlPool, Row as _, mysql::MySqlConnectOptions};

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

    /// A catalogue in it.
    ///
    /// # Panics
    /// The settings are none.
    #[must_use]
    pub fn catalog(&self, config: &CatalogConfig) -> Catalog {
        Catalog::new(self.options.clone(), config).unwrap_or_else(|error| panic!("no catalogue: {error}"))
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
        let options = self.options.clone().charset("utf8mb4").collation("utf8mb4_unicode_520_ci");
        MySqlPool::connect_lazy_with(options.timezone("+00:00".to_owned()))
    }
}

/// The ids of all connections to the database that this one is in, but for its own.
///
/// # Panics
/// The server does not answer.
pub async fn other_connections(connection: &mut MySqlConnection) -> Vec<u64> {
    others(connection).await.into_iter().map(|(id, _)| id).collect()
}

/// The id of [another connection](other_connections) that runs a statement that begins so.
///
/// # Panics
/// The server does not answer.
pub async fn connection_that_runs(connection: &mut MySqlConnection, beginning: &str) -> Option<u64> {
    let others = others(connection).await;
    others.into_iter().find(|(_, statement)| statement.starts_with(beginning)).map(|(id, _)| id)
}

/// Each with the statement that it runs. Not from `information_schema.processlist`: MySQL fails to convert the
/// statements of others to its utf8mb3 there, once one of them has an emoji.
async fn others(connection: &mut MySqlConnection) -> Vec<(u64, String)> {
    let listed = async {
        let own = "SELECT CONNECTION_ID(), DATABASE()";
        let (own, database): (u64, String) = sqlx::query_as(own).fetch_one(&mut *connection).await?;
        let rows = sqlx::raw_sql("SHOW PROCESSLIST").fetch_all(connection).await?;
        let mut others = Vec::new();
        for row in rows {
            let id: u64 = row.try_get_unchecked("Id")?;
            let other: Option<String> = row.try_get_unchecked("db")?;
            let statement: Option<String> = row.try_get_unchecked("Info")?;
            if id != own && other.as_ref() == Some(&database) {
                others.push((id, statement.unwrap_or_default()));
            }
        }
        Ok::<_, sqlx::Error>(others)
    };
    listed.await.unwrap_or_else(|error| panic!("cannot list the connections: {error}"))
}

/// Ends all of [them](other_connections).
///
/// # Panics
/// The server does not answer.
pub async fn kill_other_connections(connection: &mut MySqlConnection) {
    for other in other_connections(connection).await {
        // It may be gone by now.
        let kill = sqlx::AssertSqlSafe(format!("KILL {other}"));
        let _ = sqlx::raw_sql(kill).execute(&mut *connection).await;
    }
}

/// Two test processes may start within one clock tick, and two tests within one process.
pub(crate) fn unique() -> u64 {
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
                // One may be in a transaction that the test's runtime, which stands still, does not get to end.
                kill_other_connections(&mut connection).await;
                sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await?;
                connection.close().await
            })
        });
        if !matches!(dropped.join(), Ok(Ok(()))) {
            tracing::warn!(database = self.name, "a test database was left behind");
        }
    }
}
