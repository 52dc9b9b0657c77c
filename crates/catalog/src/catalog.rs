//! The catalogue over its database.

use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::Counter;
use sqlx::{
    FromRow as _, Row as _,
    mysql::{MySqlConnectOptions, MySqlRow},
};
use tokio::{sync::watch, task::JoinSet, time::timeout};

use crate::{
    CatalogConfig, Error, ListQuery, Page, Product,
    config::{connect_options, read_settings, write_settings},
    migrate, plan,
    pool::{Connector, Pool},
    reader::{Database, Reader},
    replica::{Replica, ReplicaState},
    statement::Statement,
};

/// One to follow changes, one to read all products meanwhile.
const INDEX_CONNECTIONS: u32 = 2;
/// For thousands of products a statement, on a server that is busy.
const INDEX_DEADLINE: Duration = Duration::from_secs(30);

/// The product catalogue. Clones share one pool of connections.
#[derive(Clone)]
pub struct Catalog {
    pub(crate) database: Arc<Database>,
    /// Connections of their own for events and writes, which may wait for each other's locks.
    pub(crate) write_database: Arc<Database>,
    /// The same for what a search index reads, which takes longer than a list may.
    pub(crate) index_database: Arc<Database>,
    pub(crate) replica: Option<Arc<Replica>>,
    /// The database took no writes when it was asked last.
    read_only: watch::Sender<bool>,
    /// Connections from before are replaced.
    renewed: watch::Sender<Option<Instant>>,
}

/// How many connections there are for reads, and how many calls wait for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolUse {
    /// Open, in use or not.
    pub open: u32,
    /// In use.
    pub in_use: u32,
    /// The most that may be open.
    pub max: u32,
    /// Calls in the admission queue, events and writes among them.
    pub waiting: u32,
}

impl Catalog {
    /// A catalogue in the database that these options name. Opens no connection: the first call does. Install the metrics
    /// recorder before.
    pub fn new(database: MySqlConnectOptions, config: &CatalogConfig) -> Result<Catalog, Error> {
        let options = connect_options(database);
        let connect_timeout = config.acquire_timeout;
        let renewed = watch::Sender::default();
        let database = |settings, deadline, connections, queue_timeout| {
            let (options, renewed) = (options.clone(), watch::Sender::clone(&renewed));
            let connector = Connector { options, settings, deadline, connect_timeout, renewed };
            let pool = Pool::new(connector, connections, queue_timeout)?;
            Ok::<_, sqlx::Error>(Arc::new(Database::new(pool)))
        };
        let reads =
            |deadline, connections| database(read_settings, deadline, connections, config.queue_timeout);
        // A sender can wait longer than a reader, and comes again.
        let queue_timeout = config.acquire_timeout;
        Ok(Catalog {
            database: reads(config.list_deadline, config.max_connections)?,
            write_database: database(
                write_settings,
                config.write_deadline,
                config.write_connections,
                queue_timeout,
            )?,
            index_database: reads(INDEX_DEADLINE, INDEX_CONNECTIONS)?,
            replica: None,
            read_only: watch::Sender::default(),
            renewed,
        })
    }

    /// The same catalogue, with a replica of its database for lists, products and categories. A task looks each second whether
    /// it is of use, and nothing is read there before it was found so.
    pub fn with_replica(
        mut self,
        replica: MySqlConnectOptions,
        config: &CatalogConfig,
        tasks: &mut JoinSet<()>,
    ) -> Result<Catalog, Error> {
        // A read takes no longer than `deadline`, connecting included; a look may take longer to connect.
        let (deadline, connect_timeout) = (config.replica_timeout, config.acquire_timeout);
        let (options, settings, renewed) = (connect_options(replica), read_settings, self.renewed.clone());
        let connector = Connector { options, settings, deadline, connect_timeout, renewed };
        // A read that waited for a connection has time left for its statement. One that gets none goes to the primary, and
        // does not count as refused.
        let mut pool = Pool::new(connector, config.max_connections, deadline / 2)?;
        pool.refused = Counter::noop();
        let patience = config.queue_timeout + config.acquire_timeout + config.list_deadline;
        let (database, state) = (Database::new(pool), watch::Sender::default());
        let replica = Arc::new(Replica { database, patience, state });
        self.replica = Some(Arc::clone(&replica));
        let catalog = self.clone();
        tasks.spawn(async move { replica.watch(&catalog).await });
        Ok(self)
    }

    /// A page of a list that [one index serves](ListQuery::is_served_by_one_index).
    pub async fn list(&self, query: &ListQuery) -> Result<Page, Error> {
        let rows = self.read(&plan::page(query)).await?;
        // One row more than the page shows whether there is another page.
        let shown = &rows[..rows.len().min(query.limit().get() as usize)];
        let products = shown.iter().map(Product::from_row).collect::<Result<Vec<_>, _>>()?;
        let last = products.last().filter(|_| rows.len() > shown.len());
        let next_cursor = last.map(|product| query.cursor_after(product));
        Ok(Page { products, next_cursor })
    }

    /// One product.
    pub async fn product(&self, id: u64) -> Result<Option<Product>, Error> {
        let rows = self.read(&plan::product(id)).await?;
        Ok(rows.first().map(Product::from_row).transpose()?)
    }

    /// Every category that has a product, sorted by bytes.
    pub async fn categories(&self) -> Result<Vec<String>, Error> {
        let rows = self.read(&plan::categories()).await?;
        Ok(rows.iter().map(|row| row.try_get("category")).collect::<Result<_, _>>()?)
    }

    /// Whether the database answers, and is migrated at least as far as this program needs. It waits neither for the
    /// pool nor for a lock on the products.
    ///
    /// A primary that becomes a replica takes no writes, and may keep our connections. Then the server is asked that the name
    /// stands for now. Once that takes writes, all connections are made anew.
    pub async fn ping(&self) -> Result<(), Error> {
        let (mut newest, mut read_only) = self.newest_migration().await?;
        if read_only {
            self.read_only.send_replace(true);
            self.database.forget().await;
            (newest, read_only) = self.newest_migration().await?;
        }
        if self.read_only.send_replace(read_only) && !read_only {
            self.renewed.send_replace(Some(Instant::now()));
        }
        if newest >= Some(migrate::newest()) { Ok(()) } else { Err(Error::SchemaMissing) }
    }

    /// Also whether the database is read-only.
    async fn newest_migration(&self) -> Result<(Option<i64>, bool), Error> {
        let rows = self.database.ping(&plan::newest_migration()).await?;
        let Some(row) = rows.first() else { return Err(Error::SchemaMissing) };
        Ok((row.try_get(0)?, row.try_get_unchecked::<i64, _>(1)? == 1))
    }

    pub(crate) async fn reader(&self) -> Result<Reader<'_>, Error> {
        Ok(self.database.reader().await?)
    }

    pub(crate) async fn fetch(&self, statement: &Statement<'_>) -> Result<Vec<MySqlRow>, Error> {
        Ok(self.reader().await?.fetch(statement).await?)
    }

    /// The rows of the replica, if it has every change that was made before this call; else those of the primary.
    pub(crate) async fn read(&self, statement: &Statement<'_>) -> Result<Vec<MySqlRow>, Error> {
        match &self.replica {
            Some(replica) => {
                timeout(replica.patience, replica.read(statement, self)).await.unwrap_or(Err(Error::Deadline))
            }
            None => self.fetch(statement).await,
        }
    }

    /// How the replica was found, where there is one and somebody has looked.
    #[must_use]
    pub fn replica(&self) -> Option<ReplicaState> {
        *self.replica.as_ref()?.state.borrow()
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
            waiting: count(status.waiting + self.write_database.pool().status().waiting),
        }
    }

    /// Opens no more connections, and closes each that is not in use; the others are closed when their calls end. It waits a second
    /// at the most for a server that hangs.
    pub async fn close(&self) {
        let replica = async {
            if let Some(replica) = &self.replica {
                replica.database.pool().close().await;
            }
        };
        tokio::join!(
            replica,
            self.write_database.pool().close(),
            self.index_database.pool().close(),
            self.database.pool().close(),
        );
    }
}
