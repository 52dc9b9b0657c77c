//! The search as its callers see it.

use std::{sync::Arc, time::Duration};

use farmlokal_catalog::Catalog;
use serde::Serialize;
use tokio::task::JoinSet;

use crate::{Engine, EngineError, SearchConfig, TantivyEngine, follower::Follower, metrics};

/// Why a search has no answer.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// The database gave no rows.
    #[error(transparent)]
    Catalog(#[from] farmlokal_catalog::Error),
    /// The index gave no answer.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// What becomes of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum SearchStatus {
    /// It is read from the database.
    Building,
    /// It answers.
    Ready,
    /// There is none: the catalogue needs more memory than [`SearchConfig::memory`].
    TooLarge,
    /// There is none, and the last attempt to build it failed. It is tried again.
    Failed,
}

/// The search over a catalogue. Clones share one index.
pub struct Search<E = TantivyEngine> {
    pub(crate) follower: Arc<Follower<E>>,
    /// As [`SearchConfig::deadline`].
    pub(crate) deadline: Duration,
}

impl<E> Clone for Search<E> {
    fn clone(&self) -> Search<E> {
        Search { follower: Arc::clone(&self.follower), deadline: self.deadline }
    }
}

impl Search {
    /// A search by the engine that comes with this crate.
    #[must_use]
    pub fn new(catalog: Catalog, config: &SearchConfig) -> Search {
        Search::with_engine(catalog, TantivyEngine::new(config), config)
    }
}

impl<E: Engine> Search<E> {
    /// A search by this engine, which has no index yet. It asks for nothing before it is [spawned](Self::spawn).
    pub fn with_engine(catalog: Catalog, engine: E, config: &SearchConfig) -> Search<E> {
        metrics::register();
        Search { follower: Arc::new(Follower::new(catalog, engine, config.poll)), deadline: config.deadline }
    }

    /// Builds the index and keeps it up to date, in tasks that do not end.
    pub fn spawn(&self, tasks: &mut JoinSet<()>) {
        self.rebuild();
        tasks.spawn(Arc::clone(&self.follower).keep_built());
        tasks.spawn(Arc::clone(&self.follower).follow());
    }

    /// Says that there may be changes: the database is asked for them at once, not at the next poll. Several calls are as good
    /// as one.
    pub fn wake(&self) {
        self.follower.wake();
    }

    /// Builds a new index, beside the one that answers meanwhile: for whoever changed products by SQL and told nobody. Several
    /// calls are as good as one.
    pub fn rebuild(&self) {
        self.follower.rebuild();
    }

    /// What becomes of the index.
    #[must_use]
    pub fn status(&self) -> SearchStatus {
        self.follower.status()
    }

    /// How many products the index has, where it is ready.
    #[must_use]
    pub fn documents(&self) -> Option<u64> {
        self.follower.require_ready().ok().and_then(|()| self.follower.engine.documents())
    }
}
