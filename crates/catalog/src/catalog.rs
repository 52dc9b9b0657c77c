//! The catalogue over its database.

use std::{sync::Arc, time::Duration};

use sqlx::{FromRow as _, Row as _, mysql::MySqlRow};
use tokio::task::JoinSet;

use crate::{
    CatalogConfig, Error, ListQuery, Page, Product, Refusal,
    config::connect_options,
    error::{is_deadline, is_missing_index},
    guards::{SearchGuards, refused},
    list::{list, page},
    migrate, plan,
    pool::{Pool, Purpose},
    price_range::{Costs, sampler::Sampler},
    reader::{Database, Reader},
    statement::Statement,
};

/// When a search that found no index may try again: building it takes a minute or so on a million rows.
const INDEX_BUILD: Duration = Duration::from_secs(30);

/// The product catalogue. Clones share one pool of connections.
#[derive(Clone)]
pub struct Catalog {
    pub(crate) database: Arc<Database>,
    /// Connections of their own, so that no list waits for one that a search holds.
    search_database: Arc<Database>,
    /// The same for events, which may wait for each other's locks.
    event_database: Arc<Database>,
    pub(crate) costs: Costs,
    pub(crate) sampler: Sampler,
    searches: Arc<SearchGuards>,
}

/// How many connections there are, those for searches and for events left out.
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
    /// Opens no connection: the first call does. Install the metrics recorder before. A service also [spawns](Self::spawn) its
    /// tasks.
    pub fn new(config: CatalogConfig) -> Result<Catalog, Error> {
        let options = connect_options(config.connect);
        let database = |purpose, deadline, connections, queue_timeout| {
            let pool = Pool::new(options.clone(), purpose, deadline, connections, config.acquire_timeout)?;
            Ok::<_, sqlx::Error>(Arc::new(Database::new(pool, queue_timeout)))
        };
        let reads =
            |deadline, connections| database(Purpose::Reads, deadline, connections, config.queue_timeout);
        // The guards let no more searches in than there are connections.
        let searches = u32::try_from(config.search.concurrency).unwrap_or(u32::MAX);
        // A sender can wait longer than a reader, and comes again.
        let queue_timeout = config.acquire_timeout;
        let events =
            database(Purpose::Events, config.event_deadline, config.event_connections, queue_timeout)?;
        let lists = reads(config.list_deadline, config.max_connections)?;
        Ok(Catalog {
            sampler: Sampler::new(&lists),
            database: lists,
            search_database: reads(config.search.deadline, searches)?,
            event_database: events,
            costs: Costs::default(),
            searches: Arc::new(SearchGuards::new(config.search)),
        })
    }

    /// Spawns what the catalogue does in the background. Without it nothing fails, but price ranges are answered more slowly.
    pub fn spawn(&self, tasks: &mut JoinSet<()>) {
        tasks.spawn(self.sampler.clone().run());
    }

    /// A page of the list.
    pub async fn list(&self, query: &ListQuery) -> Result<Page, Error> {
        if query.words().is_empty() {
            return Ok(list(&mut self.reader().await?, query, &self.costs, &self.sampler).await?);
        }
        let words = query.words().join(" ");
        let _permit = self.searches.admit(&words).await?;
        let mut reader = self.search_database.reader().await?.charged_to(&self.searches);
        match reader.fetch(&plan::search(query)).await {
            Ok(rows) => Ok(page(query, &rows)?),
            Err(error) if is_deadline(&error) => Err(self.searches.remember_slow(words)),
            Err(error) if is_missing_index(&error) => Err(refused(Refusal::NoIndex, INDEX_BUILD)),
            Err(error) => Err(error.into()),
        }
    }

    /// One product.
    pub async fn product(&self, id: u64) -> Result<Option<Product>, Error> {
        let rows = self.fetch(&plan::product(id)).await?;
        Ok(rows.first().map(Product::from_row).transpose()?)
    }

    /// Every category that has a product, sorted by bytes.
    pub async fn categories(&self) -> Result<Vec<String>, Error> {
        let rows = self.fetch(&plan::categories()).await?;
        Ok(rows.iter().map(|row| row.try_get("category")).collect::<Result<_, _>>()?)
    }

    /// Whether the database answers, and is migrated at least as far as this program needs. It waits neither for the
    /// pool nor for a lock on the products.
    pub async fn ping(&self) -> Result<(), Error> {
        let rows = self.database.ping(&plan::newest_migration()).await?;
        let newest: Option<i64> = rows.first().map(|row| row.try_get(0)).transpose()?.flatten();
        if newest >= Some(migrate::newest()) { Ok(()) } else { Err(Error::SchemaMissing) }
    }

    pub(crate) fn event_database(&self) -> &Database {
        &self.event_database
    }

    pub(crate) async fn reader(&self) -> Result<Reader<'_>, Error> {
        Ok(self.database.reader().await?)
    }

    async fn fetch(&self, statement: &Statement<'_>) -> Result<Vec<MySqlRow>, Error> {
        Ok(self.reader().await?.fetch(statement).await?)
    }

    /// How the pool is used now.
    #[must_use]
    pub fn pool(&self) -> PoolUse {
        let status = self.database.pool().status();
        let count = |connections| u32::try_from(connections).unwrap_or(u32::MAX);
        PoolUse {
            open: count(status.size),
            in_use: count(status.size.saturating_sub(status.available)),
            max: count(status.max_size),
        }
    }

    /// Opens no more connections, and closes each that is not in use; the others are closed when their calls end. It waits a second
    /// at the most for a server that hangs.
    pub async fn close(&self) {
        tokio::join!(
            self.event_database.pool().close(),
            self.search_database.pool().close(),
            self.database.pool().close(),
        );
    }
}
