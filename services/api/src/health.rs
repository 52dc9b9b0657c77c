//! The state of the service and its dependencies: one task asks the database each second, and health checks, readiness
//! and metrics read what it found. A check never waits for a dependency and never adds load to one, and no request
//! waits for a database that is down.

use std::error::Error as StdError;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use farmlokal_catalog::{Catalog, Error};
use farmlokal_search::{Search, SearchStatus};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::problem::{Code, Problem};

const PERIOD: Duration = Duration::from_secs(1);
/// A database that takes longer to say that it is there counts as down.
const PATIENCE: Duration = Duration::from_millis(900);

/// The database as it was found last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Database {
    /// Nobody has asked yet.
    Unknown,
    Up {
        latency: Duration,
    },
    Down {
        reason: &'static str,
    },
}

/// The service's view of itself.
#[derive(Clone)]
pub(crate) struct Health {
    started: Instant,
    database: watch::Receiver<Database>,
    /// The database answered and held the catalogue, once at least.
    reached: Arc<AtomicBool>,
    search: Search,
    /// For how long after the start the process is not ready without a search index.
    search_patience: Duration,
    /// The index was built once, or cannot be.
    indexed: Arc<AtomicBool>,
    draining: Arc<AtomicBool>,
}

impl Health {
    /// Watches the database in a task.
    pub(crate) fn watch(
        catalog: Catalog,
        search: Search,
        search_patience: Duration,
        tasks: &mut JoinSet<()>,
    ) -> Self {
        let (sender, database) = watch::channel(Database::Unknown);
        let reached = Arc::new(AtomicBool::new(false));
        tasks.spawn(watch_database(catalog, sender, Arc::clone(&reached)));
        Self {
            started: Instant::now(),
            database,
            reached,
            search,
            search_patience,
            indexed: Arc::default(),
            draining: Arc::default(),
        }
    }

    pub(crate) fn database(&self) -> Database {
        *self.database.borrow()
    }

    /// Lets nobody wait for a database that is down.
    ///
    /// # Errors
    /// `database_unavailable`, until the database has answered again.
    pub(crate) fn require_database(&self) -> Result<(), Problem> {
        match self.database() {
            Database::Down { .. } => {
                let problem = Problem::new(Code::DatabaseUnavailable, "The database is down.");
                Err(problem.retry_after(PERIOD))
            }
            Database::Up { .. } | Database::Unknown => Ok(()),
        }
    }

    /// Comes back when the database is found to be down, with `database_unavailable`.
    pub(crate) async fn database_lost(&self) -> Problem {
        let mut database = self.database.clone();
        if database.wait_for(|database| matches!(database, Database::Down { .. })).await.is_err() {
            // Nobody watches any more: the service is shutting down.
            std::future::pending::<()>().await;
        }
        Problem::new(Code::DatabaseUnavailable, "The database does not answer.").retry_after(PERIOD)
    }

    pub(crate) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// From now on the service is not ready: it finishes what it has and takes nothing new.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Becomes true with [`Health::drain`].
    pub(crate) fn draining(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.draining)
    }

    /// Whether the service should get requests. A database that goes away later changes nothing here: cached answers
    /// are still served, and with every replica out of rotation nobody would get them.
    pub(crate) fn readiness(&self) -> Result<(), &'static str> {
        if self.draining.load(Ordering::Relaxed) {
            return Err("shutting down");
        }
        match self.database() {
            _ if self.reached.load(Ordering::Relaxed) => {}
            Database::Down { reason } => return Err(reason),
            _ => return Err("waiting for the database"),
        }
        // Once is enough: an index that is replaced later takes no replica out of rotation, let alone all of them.
        if matches!(self.search.status(), SearchStatus::Ready | SearchStatus::TooLarge) {
            self.indexed.store(true, Ordering::Relaxed);
        }
        let is_patient = self.uptime() < self.search_patience;
        if is_patient && !self.indexed.load(Ordering::Relaxed) {
            return Err("building the search index");
        }
        Ok(())
    }
}

async fn watch_database(catalog: Catalog, sender: watch::Sender<Database>, reached: Arc<AtomicBool>) {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut late = false;
    loop {
        ticks.tick().await;
        let asked = Instant::now();
        let (found, cause) = match tokio::time::timeout(PATIENCE, catalog.ping()).await {
            Ok(Ok(())) => (Database::Up { latency: asked.elapsed() }, None),
            Ok(Err(Error::SchemaMissing)) => {
                (Database::Down { reason: "the database is not migrated" }, None)
            }
            Ok(Err(error)) => (Database::Down { reason: "the database cannot be reached" }, Some(error)),
            // Once may be a hiccup, of the database or of this machine.
            Err(_) if !late => {
                late = true;
                continue;
            }
            Err(_) => (Database::Down { reason: "the database does not answer in time" }, None),
        };
        late = matches!(found, Database::Down { .. });
        let before = sender.send_replace(found);
        match found {
            Database::Up { .. } if !matches!(before, Database::Up { .. }) => {
                reached.store(true, Ordering::Relaxed);
                info!("the database is up");
            }
            Database::Down { reason } if !matches!(before, Database::Down { .. }) => {
                let cause = cause.as_ref().and_then(StdError::source).map(tracing::field::display);
                warn!(reason, cause, "the database is down");
            }
            _ => {}
        }
    }
}
