//! The engine, with faults at will.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use farmlokal_catalog::{ChangePosition, IndexRow, ListQuery, SearchText};
use farmlokal_search::{Engine, EngineError, Found, Rebuild, SearchConfig, Suggestion, TantivyEngine};
use tokio::sync::Notify;

/// Clones share one index.
#[derive(Clone)]
pub(crate) struct FaultyEngine(Arc<Shared>);

struct Shared {
    engine: TantivyEngine,
    position: AtomicU64,
    limit: AtomicU64,
    failures: AtomicU64,
    holds_back: Mutex<Option<Arc<AtomicU64>>>,
    finishing: Mutex<Option<(Arc<Notify>, Arc<Notify>)>>,
}

impl FaultyEngine {
    pub(crate) fn new(config: &SearchConfig) -> FaultyEngine {
        FaultyEngine(Arc::new(Shared {
            engine: TantivyEngine::new(config),
            position: AtomicU64::new(0),
            limit: AtomicU64::new(u64::MAX),
            failures: AtomicU64::new(0),
            holds_back: Mutex::default(),
            finishing: Mutex::default(),
        }))
    }

    /// It takes no more products from now on.
    pub(crate) fn limit_to(&self, products: u64) {
        self.0.limit.store(products, Ordering::Relaxed);
    }

    /// The next so many changes fail.
    pub(crate) fn fail(&self, changes: u64) {
        self.0.failures.store(changes, Ordering::Relaxed);
    }

    /// Each answer is held back until this number has risen.
    pub(crate) fn hold_back_until(&self, number: &Arc<AtomicU64>) {
        *self.0.holds_back.lock().unwrap() = Some(Arc::clone(number));
    }

    pub(crate) fn hold_back_no_more(&self) {
        *self.0.holds_back.lock().unwrap() = None;
    }

    /// The next build stops before it ends, says so by the first, and goes on after the second.
    pub(crate) fn stop_next_build(&self) -> (Arc<Notify>, Arc<Notify>) {
        let finishing = <(Arc<Notify>, Arc<Notify>)>::default();
        *self.0.finishing.lock().unwrap() = Some(finishing.clone());
        finishing
    }

    fn check(&self, products: u64) -> Result<(), EngineError> {
        if products > self.0.limit.load(Ordering::Relaxed) { Err(EngineError::TooLarge) } else { Ok(()) }
    }
}

impl Engine for FaultyEngine {
    async fn search(&self, query: &ListQuery, name_key: Option<Vec<u8>>) -> Result<Found, EngineError> {
        let found = self.0.engine.search(query, name_key).await?;
        let number = self.0.holds_back.lock().unwrap().clone();
        if let Some(number) = number {
            let now = number.load(Ordering::Relaxed);
            while number.load(Ordering::Relaxed) == now {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        Ok(found)
    }

    async fn suggest(&self, text: &SearchText, limit: usize) -> Result<(Vec<Suggestion>, u64), EngineError> {
        self.0.engine.suggest(text, limit).await
    }

    async fn apply(
        &self,
        changes: Vec<(u64, Option<IndexRow>)>,
        position: &ChangePosition,
    ) -> Result<(), EngineError> {
        let failures = &self.0.failures;
        if failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
            return Err(EngineError::Failed("as told".to_owned()));
        }
        let before = self.0.position.swap(position.sum(), Ordering::Relaxed);
        assert!(before < position.sum(), "an older position after a newer one");
        self.0.engine.apply(changes, position).await?;
        self.check(self.documents().unwrap())
    }

    fn rebuild(&self) -> Result<impl Rebuild, EngineError> {
        Ok(FaultyRebuild { engine: self.clone(), rebuild: self.0.engine.rebuild()?, products: 0 })
    }

    fn documents(&self) -> Option<u64> {
        self.0.engine.documents()
    }

    fn memory(&self) -> u64 {
        self.0.engine.memory()
    }
}

struct FaultyRebuild<R> {
    engine: FaultyEngine,
    rebuild: R,
    products: u64,
}

impl<R: Rebuild> Rebuild for FaultyRebuild<R> {
    async fn add(&mut self, rows: Vec<IndexRow>) -> Result<(), EngineError> {
        self.products += rows.len() as u64;
        self.engine.check(self.products)?;
        self.rebuild.add(rows).await
    }

    async fn finish(self, position: &ChangePosition) -> Result<impl FnOnce() + Send + 'static, EngineError> {
        let (replace, sum) = (self.rebuild.finish(position).await?, position.sum());
        let finishing = self.engine.0.finishing.lock().unwrap().take();
        if let Some((began, proceed)) = finishing {
            began.notify_one();
            proceed.notified().await;
        }
        Ok(move || {
            self.engine.0.position.store(sum, Ordering::Relaxed);
            replace();
        })
    }
}
