//! The catalogue over its database.

use sqlx::{MySqlPool, mysql::MySqlPoolOptions};

use crate::{
    CatalogConfig, Error, ListQuery, Page, Product,
    config::{connect_options, prepare_session},
};

/// The product catalogue. Clones share one pool of connections.
#[derive(Clone)]
pub struct Catalog {
    pool: MySqlPool,
}

/// How many connections there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolUse {
    /// Open, in use or not.
    pub open: u32,
    /// In use.
    pub in_use: u32,
    /// The most that may be open.
    pub max: u32,
}

impl Catalog {
    /// Opens no connection: the first call does.
    pub fn new(config: CatalogConfig) -> Result<Catalog, Error> {
        let pool = MySqlPoolOptions::new()
            .max_connections(config.max_connections)
            .acquire_timeout(config.acquire_timeout)
            .test_before_acquire(false)
            .after_connect(|connection, _| Box::pin(prepare_session(connection)))
            .connect_lazy_with(connect_options(config.connect));
        Ok(Catalog { pool })
    }

    /// A page of the list.
    pub async fn list(&self, query: &ListQuery) -> Result<Page, Error> {
        let products = sqlx::query_as("SELECT * FROM products ORDER BY id LIMIT ?")
            .bind(query.limit())
            .fetch_all(&self.pool)
            .await?;
        Ok(Page { products, next_cursor: None })
    }

    /// One product.
    pub async fn product(&self, id: u64) -> Result<Option<Product>, Error> {
        Ok(sqlx::query_as(
            "SELECT id, name, description, category, price, created_at, updated_at FROM products WHERE id = ?",
        )
        .bind(id)
        .fetch_optional(&self.pool)
        .await?)
    }

    /// Every category that has a product, sorted by bytes.
    pub async fn categories(&self) -> Result<Vec<String>, Error> {
        Ok(sqlx::query_scalar("SELECT DISTINCT category FROM products").fetch_all(&self.pool).await?)
    }

    /// Whether the database answers, and holds a catalogue.
    pub async fn ping(&self) -> Result<(), Error> {
        sqlx::query("SELECT id FROM products LIMIT 1").fetch_optional(&self.pool).await?;
        Ok(())
    }

    /// How the pool is used now.
    #[must_use]
    pub fn pool(&self) -> PoolUse {
        let open = self.pool.size();
        let idle = u32::try_from(self.pool.num_idle()).unwrap_or(open);
        PoolUse { open, in_use: open.saturating_sub(idle), max: self.pool.options().get_max_connections() }
    }

    /// Closes every connection, after the calls that use them.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
