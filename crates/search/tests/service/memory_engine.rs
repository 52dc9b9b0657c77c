//! The smallest engine: a map. It finds products whose name contains the search.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use farmlokal_catalog::{ChangePosition, IndexRow, Level, ListQuery, Order, SearchText, Sort, SortValue};
use farmlokal_search::{Engine, EngineError, Found, Match, Rebuild, Suggestion};

#[derive(Default)]
struct Index {
    rows: BTreeMap<u64, IndexRow>,
    position: u64,
}

/// Clones share one index.
#[derive(Clone)]
pub(crate) struct MemoryEngine {
    index: Arc<Mutex<Option<Index>>>,
    /// The most products that it takes.
    pub(crate) limit: Arc<AtomicU64>,
    /// Each answer is held back until this number has risen.
    pub(crate) waits_for: Arc<Mutex<Option<Arc<AtomicU64>>>>,
    /// The next so many changes fail.
    pub(crate) failures: Arc<AtomicU64>,
}

impl Default for MemoryEngine {
    fn default() -> MemoryEngine {
        MemoryEngine {
            index: Arc::default(),
            limit: Arc::new(AtomicU64::new(u64::MAX)),
            waits_for: Arc::default(),
            failures: Arc::default(),
        }
    }
}

impl MemoryEngine {
    fn check(&self, rows: &BTreeMap<u64, IndexRow>) -> Result<(), EngineError> {
        let limit = self.limit.load(Ordering::Relaxed);
        if rows.len() as u64 > limit { Err(EngineError::TooLarge { limit }) } else { Ok(()) }
    }

    fn find(&self, query: &ListQuery, name_key: Option<Vec<u8>>) -> Result<Found, EngineError> {
        let guard = self.index.lock().unwrap();
        let index = guard.as_ref().ok_or(EngineError::NotBuilt)?;
        let filter = query.filter();
        let is_listed = |row: &&IndexRow| {
            filter.search.as_ref().is_none_or(|search| row.name.contains(search.as_str()))
                && (filter.prices.lowest()..=filter.prices.highest()).contains(&row.price)
        };
        let mut keys: Vec<Key> =
            index.rows.values().filter(is_listed).map(|row| key(query.sort(), row)).collect();
        let total = query.include().total.then_some(keys.len() as u64);
        keys.sort();
        let after = after(query, name_key);
        if query.order() == Order::Desc {
            keys.reverse();
            keys.retain(|key| after.as_ref().is_none_or(|after| key < after));
        } else {
            keys.retain(|key| after.as_ref().is_none_or(|after| key > after));
        }
        keys.truncate(usize::try_from(query.rows()).unwrap());
        Ok(Found {
            matches: keys.into_iter().map(|(_, id)| Match { id, relevance: 0 }).collect(),
            total,
            category_facet: None,
            price_facet: None,
            level: Level::AsWritten,
            corrections: Vec::new(),
            words: None,
            position: index.position,
        })
    }
}

type Key = (Vec<u8>, u64);

fn key(sort: Sort, row: &IndexRow) -> Key {
    let value = match sort {
        Sort::Price => row.price.cents().to_be_bytes().to_vec(),
        Sort::Name => row.name_key.clone(),
        Sort::CreatedAt => row.created_at.timestamp_millis().to_be_bytes().to_vec(),
        Sort::Id | Sort::Relevance => Vec::new(),
    };
    (value, row.id)
}

fn after(query: &ListQuery, name_key: Option<Vec<u8>>) -> Option<Key> {
    let position = query.after()?;
    let value = match &position.value {
        SortValue::Price(price) => price.cents().to_be_bytes().to_vec(),
        SortValue::Name(_) => name_key.unwrap(),
        SortValue::CreatedAt(time) => time.timestamp_millis().to_be_bytes().to_vec(),
        SortValue::Id | SortValue::Relevance(_) => Vec::new(),
    };
    Some((value, position.id))
}

impl Engine for MemoryEngine {
    async fn search(&self, query: &ListQuery, name_key: Option<Vec<u8>>) -> Result<Found, EngineError> {
        let found = self.find(query, name_key)?;
        let waits_for = self.waits_for.lock().unwrap().clone();
        if let Some(number) = waits_for {
            let now = number.load(Ordering::Relaxed);
            while number.load(Ordering::Relaxed) == now {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        Ok(found)
    }
    async fn suggest(&self, text: &SearchText, _: usize) -> Result<(Vec<Suggestion>, u64), EngineError> {
        let guard = self.index.lock().unwrap();
        let index = guard.as_ref().ok_or(EngineError::NotBuilt)?;
        let products = index.rows.values().filter(|row| row.name.starts_with(text.as_str())).count() as u64;
        Ok((vec![Suggestion { text: text.as_str().to_owned(), products }], index.position))
    }

    async fn apply(
        &self,
        changes: Vec<(u64, Option<IndexRow>)>,
        position: &ChangePosition,
    ) -> Result<(), EngineError> {
        // As an engine with threads of its own does.
        tokio::task::yield_now().await;
        let mut guard = self.index.lock().unwrap();
        let index = guard.as_mut().ok_or(EngineError::NotBuilt)?;
        if self
            .failures
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
            .is_ok()
        {
            return Err(EngineError::Failed("as told".to_owned()));
        }
        for (id, row) in changes {
            match row {
                Some(row) => index.rows.insert(id, row),
                None => index.rows.remove(&id),
            };
        }
        assert!(index.position < position.sum(), "an older position after a newer one");
        index.position = position.sum();
        self.check(&index.rows)
    }

    fn rebuild(&self) -> Result<impl Rebuild, EngineError> {
        Ok(MemoryRebuild { engine: self.clone(), index: Index::default() })
    }

    fn documents(&self) -> Option<u64> {
        Some(self.index.lock().unwrap().as_ref()?.rows.len() as u64)
    }

    fn memory(&self) -> u64 {
        0
    }
}

struct MemoryRebuild {
    engine: MemoryEngine,
    index: Index,
}

impl Rebuild for MemoryRebuild {
    async fn add(&mut self, rows: Vec<IndexRow>) -> Result<(), EngineError> {
        for row in rows {
            assert_eq!(self.index.rows.insert(row.id, row), None);
        }
        self.engine.check(&self.index.rows)
    }

    async fn finish(mut self, position: &ChangePosition) -> Result<(), EngineError> {
        self.index.position = position.sum();
        *self.engine.index.lock().unwrap() = Some(self.index);
        Ok(())
    }
}
