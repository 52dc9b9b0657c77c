//! The search as its callers see it.

use std::{sync::Arc, time::Duration};

use farmlokal_catalog::Catalog;
use serde::Serialize;
use tokio::task::JoinSet;

use crate::{
    Engine, EngineError, SearchConfig, TantivyEngine, follower::Follower, metrics, opensearch::OpenSearch,
};

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
    /// There is none, and the last attempt to build it failed, or OpenSearch does not answer. It is tried again.
    Failed,
}

/// The search over a catalogue. Clones share one index.
pub struct Search<E = TantivyEngine> {
    pub(crate) backend: Backend<E>,
    /// The longest that an answer takes.
    pub(crate) deadline: Duration,
}

/// Where the index is.
pub(crate) enum Backend<E> {
    /// In the process.
    Embedded(Arc<Follower<E>>),
    /// In a cluster that all processes share.
    OpenSearch(Arc<OpenSearch>),
}

impl<E> Clone for Search<E> {
    fn clone(&self) -> Search<E> {
        let backend = match &self.backend {
            Backend::Embedded(follower) => Backend::Embedded(Arc::clone(follower)),
            Backend::OpenSearch(opensearch) => Backend::OpenSearch(Arc::clone(opensearch)),
        };
        Search { backend, deadline: self.deadline }
    }
}

impl Search {
    /// A search by OpenSearch where the settings name one, else by the engine that comes with this crate.
    ///
    /// # Errors
    /// A client of OpenSearch that cannot be made, such as on a machine that trusts nobody.
    pub fn new(catalog: Catalog, config: &SearchConfig) -> Result<Search, EngineError> {
        let Some(url) = &config.url else {
            return Ok(Search::with_engine(catalog, TantivyEngine::new(config), config));
        };
        metrics::register();
        let opensearch = Arc::new(OpenSearch::new(catalog, url, config)?);
        Ok(Search { backend: Backend::OpenSearch(opensearch), deadline: config.deadline + config.wait })
    }
}

impl<E: Engine> Search<E> {
    /// A search by this engine, which has no index yet. It asks for nothing before it is [spawned](Self::spawn).
    pub fn with_engine(catalog: Catalog, engine: E, config: &SearchConfig) -> Search<E> {
        metrics::register();
        let follower = Arc::new(Follower::new(catalog, engine, config.poll));
        Search { backend: Backend::Embedded(follower), deadline: config.deadline }
    }

    /// Builds the index and keeps it up to date, in tasks that do not end.
    pub fn spawn(&self, tasks: &mut JoinSet<()>) {
        match &self.backend {
            Backend::Embedded(follower) => {
                follower.rebuild();
                tasks.spawn(Arc::clone(follower).keep_built());
                tasks.spawn(Arc::clone(follower).follow());
            }
            Backend::OpenSearch(opensearch) => {
                tasks.spawn(Arc::clone(opensearch).watch());
                tasks.spawn(Arc::clone(opensearch).lead());
            }
        }
    }

    /// Says that there may be changes: the database is asked for them at once, not at the next poll. Several calls are as good
    /// as one.
    pub fn wake(&self) {
        match &self.backend {
            Backend::Embedded(follower) => follower.wake(),
            Backend::OpenSearch(opensearch) => opensearch.wake(),
        }
    }

    /// Builds a new index, beside the one that answers meanwhile: for whoever changed products by SQL and told nobody. Several
    /// calls are as good as one. In OpenSearch it is built where the process that writes the index is told, which every process is
    /// that hears of a flush.
    pub fn rebuild(&self) {
        match &self.backend {
            Backend::Embedded(follower) => follower.rebuild(),
            Backend::OpenSearch(opensearch) => opensearch.rebuild(),
        }
    }

    /// What becomes of the index.
    #[must_use]
    pub fn status(&self) -> SearchStatus {
        match &self.backend {
            Backend::Embedded(follower) => follower.status(),
            Backend::OpenSearch(opensearch) => opensearch.state().0,
        }
    }

    /// How many products the index has, where it is ready.
    #[must_use]
    pub fn documents(&self) -> Option<u64> {
        match &self.backend {
            Backend::Embedded(follower) => {
                follower.require_ready().ok().and_then(|()| follower.engine.documents())
            }
            Backend::OpenSearch(opensearch) => opensearch.state().1,
        }
    }
}
