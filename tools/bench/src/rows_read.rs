//! Rows that the database reads for a query, by its own counters.

use anyhow::Result;
use farmlokal_catalog::Catalog;
use sqlx::mysql::MySqlConnection;
use sqlx::{Connection as _, Row as _};

use crate::cold::ColdQuery;

/// Reads the server's counters. They are the whole server's: nobody else may use it meanwhile.
pub(crate) struct Counters {
    connection: MySqlConnection,
    /// What asking for the counters adds to them.
    own: u64,
}

impl Counters {
    pub(crate) async fn connect(url: &str) -> Result<Counters> {
        let mut counters = Counters { connection: MySqlConnection::connect(url).await?, own: 0 };
        counters.read().await?;
        let before = counters.read().await?;
        counters.own = counters.read().await? - before;
        Ok(counters)
    }

    /// The rows read for one query: the sum of all `Handler_read_*` counters.
    pub(crate) async fn rows_read(&mut self, catalog: &Catalog, query: &ColdQuery) -> Result<u64> {
        let before = self.read().await?;
        catalog.list(&query.query).await?;
        Ok((self.read().await? - before).saturating_sub(self.own))
    }

    async fn read(&mut self) -> Result<u64> {
        let rows =
            sqlx::query("SHOW GLOBAL STATUS LIKE 'Handler_read%'").fetch_all(&mut self.connection).await?;
        let mut sum = 0;
        for row in rows {
            sum += row.try_get::<String, _>(1)?.parse::<u64>()?;
        }
        Ok(sum)
    }
}
