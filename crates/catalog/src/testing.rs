//! For tests: a database of its own for each.

use std::time::Duration;

use sqlx::{Connection as _, MySqlConnection, MySqlPool, mysql::MySqlConnectOptions};

use crate::{
    Catalog, CatalogConfig, Error, ListQuery, Page, Price, Product, SearchConfig,
    cursor::{Position, SortValue},
    migrate,
    price_range::{Costs, band::Band},
    reader::Reader,
};

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

    /// A catalogue's settings for it. Searches may take what they need: how long that is depends on the machine.
    #[must_use]
    pub fn config(&self) -> CatalogConfig {
        let ample = Duration::from_secs(60);
        let search = SearchConfig {
            deadline: ample,
            queue_timeout: ample,
            burst: ample,
            time_share: 1.0,
            ..SearchConfig::default()
        };
        CatalogConfig { search, ..CatalogConfig::with(self.options.clone()) }
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

/// The ids of all connections to the database that this one is in, but for its own.
///
/// # Panics
/// The server does not answer.
pub async fn other_connections(connection: &mut MySqlConnection) -> Vec<u64> {
    let others = "SELECT CAST(id AS UNSIGNED) FROM information_schema.processlist \
                  WHERE db = DATABASE() AND id <> CONNECTION_ID()";
    let others = sqlx::query_scalar(others).fetch_all(connection).await;
    others.unwrap_or_else(|error| panic!("cannot list the connections: {error}"))
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

/// Counters of one connection, by their names.
#[derive(Clone, Copy)]
enum Counters {
    /// Rows that the storage engine hands to the server.
    Rows,
    /// Prepared statements that were run.
    Statements,
}

impl Counters {
    async fn read(self, reader: &mut Reader<'_>) -> Result<u64, sqlx::Error> {
        let names = match self {
            Counters::Rows => "SHOW SESSION STATUS LIKE 'Handler\\_read\\_%'",
            Counters::Statements => "SHOW SESSION STATUS LIKE 'Com\\_stmt\\_execute'",
        };
        let counters: Vec<(String, String)> = sqlx::query_as(names).fetch_all(reader.begin().await?).await?;
        reader.end();
        Ok(counters.iter().filter_map(|(_, value)| value.parse::<u64>().ok()).sum())
    }

    /// Their sum before a statement, raised by what asking for it costs.
    async fn start(self, reader: &mut Reader<'_>) -> Result<u64, sqlx::Error> {
        let first = self.read(reader).await?;
        let second = self.read(reader).await?;
        Ok(second + (second - first))
    }
}

/// How price ranges are answered, whatever is cheaper: small tables would see one way only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PriceRanges {
    /// Sorted.
    Sorted,
    /// Walked for a while, and then by bands.
    Walked,
    /// By bands, those that the range cuts along their index.
    Bands,
    /// By bands, those that the range cuts sorted.
    BandsWithSortedEdges,
}

impl Catalog {
    /// One that answers price ranges in this way.
    #[must_use]
    pub fn answering(self, price_ranges: PriceRanges) -> Catalog {
        const NEVER: f64 = 1e12;
        let never_walked = Costs { walked: NEVER, walked_by_id: NEVER, ..Costs::default() };
        let bands =
            Costs { ranged: NEVER, ranged_by_name: NEVER, merge: -NEVER, merge_few: -NEVER, ..never_walked };
        self.with_costs(match price_ranges {
            PriceRanges::Sorted => Costs { merge: NEVER, merge_few: NEVER, ..never_walked },
            PriceRanges::Walked => Costs { walked: -NEVER, walked_by_id: -NEVER, ..bands },
            PriceRanges::Bands => bands,
            PriceRanges::BandsWithSortedEdges => Costs { ranged: 0.0, ranged_by_name: 0.0, ..bands },
        })
    }

    /// Draws the sample of prices now. Otherwise the first price range has it drawn, and does not wait for it.
    pub async fn draw_sample(&self) -> Result<(), Error> {
        Ok(self.sampler().renew().await?)
    }

    /// A page of a list without search, and how many rows the server read for it.
    pub async fn list_counting_rows(&self, query: &ListQuery) -> Result<(Page, u64), Error> {
        self.list_counting(query, Counters::Rows).await
    }

    /// A page of a list without search, and how many prepared statements it took.
    pub async fn list_counting_statements(&self, query: &ListQuery) -> Result<(Page, u64), Error> {
        self.list_counting(query, Counters::Statements).await
    }

    async fn list_counting(&self, query: &ListQuery, counters: Counters) -> Result<(Page, u64), Error> {
        let mut reader = self.reader().await?;
        let before = counters.start(&mut reader).await?;
        let page = crate::list::list(&mut reader, query, self.costs(), self.sampler()).await?;
        Ok((page, counters.read(&mut reader).await? - before))
    }

    /// What a variable of a reader's session is, as text.
    pub async fn session_variable(&self, name: &str) -> Result<String, Error> {
        let mut reader = self.reader().await?;
        let statement = format!("SELECT CAST(@@SESSION.{name} AS CHAR)");
        let row = sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).fetch_one(reader.begin().await?).await?;
        reader.end();
        Ok(sqlx::Row::try_get(&row, 0)?)
    }

    /// How many rows the server reads for [`Catalog::categories`].
    pub async fn categories_counting_rows(&self) -> Result<u64, Error> {
        let mut reader = self.reader().await?;
        let before = Counters::Rows.start(&mut reader).await?;
        reader.fetch(&crate::plan::categories()).await?;
        Ok(Counters::Rows.read(&mut reader).await? - before)
    }
}

/// The query for the page that follows a product, wherever that is: deep pages without a walk.
#[must_use]
pub fn page_after(query: &ListQuery, product: &Product) -> ListQuery {
    query.clone().with_position(Position { value: SortValue::of(product, 0, query.sort()), id: product.id })
}

/// The band of a price, as `price_band` must have it.
#[must_use]
pub fn price_band(price: Price) -> u16 {
    Band::of(price).number()
}
