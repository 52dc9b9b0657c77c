//! The engine that searches in the process, on tantivy, in memory.

mod dictionary;
mod documents;
mod facets;
mod order;
mod query;
mod schema;
mod scores;
mod search;
mod segment;
mod snapshot;
mod suggest;
mod threads;

use std::sync::{
    Arc, Mutex, PoisonError, RwLock,
    atomic::{AtomicU64, Ordering},
};

use farmlokal_catalog::{ChangePosition, IndexRow, ListQuery, SearchText};
use tantivy::TantivyError;

use crate::{
    Engine, EngineError, Found, Rebuild, SearchConfig, Suggestion,
    analysis::{Analysis, SynonymIndex},
};
use snapshot::{BUILD, Live, Snapshot, WRITER};
use threads::Threads;

/// An index of tantivy in memory, built from the database at start.
pub struct TantivyEngine {
    shared: Arc<Shared>,
    threads: Threads,
}

struct Shared {
    memory: u64,
    analysis: Analysis,
    synonyms: Arc<SynonymIndex>,
    /// What answers.
    snapshot: RwLock<Option<Arc<Snapshot>>>,
    /// What is written: locked for as long as that takes.
    live: Mutex<Option<Live>>,
    /// What that takes, its writer included.
    bytes: AtomicU64,
}

impl TantivyEngine {
    /// An engine without an index: it has to be built.
    #[must_use]
    pub fn new(config: &SearchConfig) -> TantivyEngine {
        let analysis = Analysis { language: config.language };
        let shared = Shared {
            memory: config.memory,
            analysis,
            synonyms: Arc::new(SynonymIndex::new(analysis, config.synonyms.as_ref())),
            snapshot: RwLock::new(None),
            live: Mutex::new(None),
            bytes: AtomicU64::new(0),
        };
        let threads = Threads::new(config.threads.into(), config.queue.into());
        TantivyEngine { shared: Arc::new(shared), threads }
    }

    /// Runs this on one of the threads, with what answers then.
    async fn answer<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Snapshot) -> Result<T, TantivyError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let shared = Arc::clone(&self.shared);
        self.threads.run(move || Ok(work(shared.snapshot().ok_or(EngineError::NotBuilt)?.as_ref())?)).await
    }
}

impl Shared {
    fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.snapshot.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn show(&self, snapshot: Option<Snapshot>) {
        *self.snapshot.write().unwrap_or_else(PoisonError::into_inner) = snapshot.map(Arc::new);
    }

    fn fits(&self, bytes: u64) -> Result<(), EngineError> {
        if bytes <= self.memory { Ok(()) } else { Err(EngineError::TooLarge) }
    }

    fn apply(
        &self,
        changes: &[(u64, Option<IndexRow>)],
        position: &ChangePosition,
    ) -> Result<(), EngineError> {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        let live = live.as_mut().ok_or(EngineError::NotBuilt)?;
        self.fits(live.bytes() + WRITER as u64)?;
        for (id, row) in changes {
            live.replace(*id, row.as_ref())?;
        }
        self.show(Some(live.commit(position)?));
        self.bytes.store(live.bytes() + WRITER as u64, Ordering::Relaxed);
        Ok(())
    }
}

impl Engine for TantivyEngine {
    async fn search(&self, query: &ListQuery, name_key: Option<Vec<u8>>) -> Result<Found, EngineError> {
        let query = query.clone();
        self.answer(move |snapshot| snapshot.search(&query, name_key.as_deref())).await
    }

    async fn suggest(&self, text: &SearchText, limit: usize) -> Result<(Vec<Suggestion>, u64), EngineError> {
        let text = text.clone();
        self.answer(move |snapshot| Ok((snapshot.suggest(&text, limit)?, snapshot.position))).await
    }

    async fn apply(
        &self,
        changes: Vec<(u64, Option<IndexRow>)>,
        position: &ChangePosition,
    ) -> Result<(), EngineError> {
        let (shared, position) = (Arc::clone(&self.shared), position.clone());
        threads::blocking(move || shared.apply(&changes, &position)).await
    }

    fn rebuild(&self) -> Result<impl Rebuild, EngineError> {
        let shared = Arc::clone(&self.shared);
        shared.fits(BUILD)?;
        let mut before = shared.live.lock().unwrap_or_else(PoisonError::into_inner);
        if before.as_ref().is_some_and(|live| shared.fits(with_merge(live.bytes()) + BUILD).is_err()) {
            // There is no room for both.
            shared.show(None);
            *before = None;
            shared.bytes.store(0, Ordering::Relaxed);
        }
        drop(before);
        let live = Live::new(shared.analysis, Arc::clone(&shared.synonyms))?;
        Ok(TantivyRebuild { shared, live: Arc::new(Mutex::new(Some(live))) })
    }

    fn documents(&self) -> Option<u64> {
        self.shared.snapshot().map(|snapshot| snapshot.searcher.num_docs())
    }

    fn memory(&self) -> u64 {
        self.shared.bytes.load(Ordering::Relaxed)
    }
}

/// An index in the making.
struct TantivyRebuild {
    shared: Arc<Shared>,
    live: Arc<Mutex<Option<Live>>>,
}

impl Rebuild for TantivyRebuild {
    async fn add(&mut self, rows: Vec<IndexRow>) -> Result<(), EngineError> {
        let (shared, live) = (Arc::clone(&self.shared), Arc::clone(&self.live));
        threads::blocking(move || {
            let live = live.lock().unwrap_or_else(PoisonError::into_inner);
            let live = live.as_ref().ok_or(EngineError::NotBuilt)?;
            shared.fits((live.bytes() + BUILD).max(with_merge(live.bytes())))?;
            Ok(rows.iter().try_for_each(|row| live.add(row))?)
        })
        .await
    }

    async fn finish(self, position: &ChangePosition) -> Result<impl FnOnce() + Send + 'static, EngineError> {
        let position = position.clone();
        threads::blocking(move || {
            let built = self.live.lock().unwrap_or_else(PoisonError::into_inner).take();
            let mut live = built.ok_or(EngineError::NotBuilt)?;
            let snapshot = live.commit(&position)?;
            let live = live.built()?;
            self.shared.fits(with_merge(live.bytes()))?;
            let shared = self.shared;
            Ok(move || {
                shared.bytes.store(live.bytes() + WRITER as u64, Ordering::Relaxed);
                *shared.live.lock().unwrap_or_else(PoisonError::into_inner) = Some(live);
                shared.show(Some(snapshot));
            })
        })
        .await
    }
}

/// What an index of so many bytes takes while its segments are merged.
fn with_merge(bytes: u64) -> u64 {
    2 * bytes + WRITER as u64
}

impl From<TantivyError> for EngineError {
    fn from(error: TantivyError) -> EngineError {
        EngineError::Failed(error.to_string())
    }
}
