//! The search by OpenSearch: an index that all processes share, and that one of them keeps where the database is.
//!
//! The database says which index that is and how far, so that a new one takes its place in the same statement that says how far the
//! new one is. An alias would be a second truth beside that.

mod client;
mod documents;
mod leader;
mod query;
mod search;

use std::{
    mem::{replace, take},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use farmlokal_catalog::{Catalog, IndexPointer, ListQuery, Page, SearchText, SortValue};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{
    sync::{Mutex, Notify, watch},
    time::{Instant, sleep, timeout},
};
use tracing::{info, warn};
use url::Url;

use self::{client::Client, documents::SCHEMA};
use crate::{
    EngineError, Found, SearchConfig, SearchError, SearchStatus, Suggestion,
    analysis::{Analysis, SynonymIndex},
    follower::PAUSE,
    metrics,
};

/// How long the cluster may take to say how the index is.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);

/// What searches in OpenSearch, and keeps the index there.
pub(crate) struct OpenSearch {
    catalog: Catalog,
    pub(crate) client: Client,
    /// Of the names of indices.
    prefix: String,
    analysis: Analysis,
    synonyms: SynonymIndex,
    wait: Duration,
    poll: Duration,
    /// And how many products the index has.
    state: watch::Sender<(SearchStatus, Option<u64>)>,
    /// It has lacked a change for longer than a search waits: none does, then.
    is_behind: AtomicBool,
    /// The last look at the database, and when it began.
    pointer: Mutex<Option<(Instant, IndexPointer)>>,
    woken: Notify,
    /// How many were asked for.
    rebuilds: AtomicU64,
}

impl OpenSearch {
    pub(crate) fn new(
        catalog: Catalog,
        url: &SecretString,
        config: &SearchConfig,
    ) -> Result<OpenSearch, EngineError> {
        let no_url = |_| EngineError::Failed("SEARCH_URL is no URL".to_owned());
        let mut base: Url = url.expose_secret().parse().map_err(no_url)?;
        let prefix = Some(base.path().trim_matches('/')).filter(|prefix| !prefix.is_empty());
        let prefix = prefix.unwrap_or("farmlokal").to_owned();
        base.set_path("/");
        let analysis = Analysis { language: config.language };
        Ok(OpenSearch {
            catalog,
            client: Client::new(base, config)?,
            prefix,
            analysis,
            synonyms: SynonymIndex::new(analysis, config.synonyms.as_ref()),
            wait: config.wait,
            poll: config.poll,
            state: watch::Sender::new((SearchStatus::Building, None)),
            is_behind: AtomicBool::new(false),
            pointer: Mutex::default(),
            woken: Notify::new(),
            rebuilds: AtomicU64::new(0),
        })
    }

    pub(crate) fn wake(&self) {
        self.woken.notify_one();
    }

    pub(crate) fn rebuild(&self) {
        self.rebuilds.fetch_add(1, Ordering::Relaxed);
        self.wake();
    }

    /// What becomes of the index, and how many products it has.
    pub(crate) fn state(&self) -> (SearchStatus, Option<u64>) {
        *self.state.borrow()
    }

    /// A page with all changes from before the call, or one that says that it may lack some.
    pub(crate) async fn find(&self, query: &ListQuery) -> Result<(Page, Found), SearchError> {
        let name_key = match query.after().map(|position| &position.value) {
            Some(SortValue::Name(name)) => Some(self.catalog.name_key(name).await?),
            _ => None,
        };
        let (until, mut wanted) = (Instant::now() + self.wait, None);
        loop {
            let (index, noted, is_late) = self.index(&mut wanted, until).await?;
            let mut found = self.search(&index, noted, query, name_key.as_deref()).await?;
            let shown = found.matches.iter().take(query.limit().get() as usize);
            let ids: Vec<u64> = shown.map(|found| found.id).collect();
            let (products, database) = self.catalog.products_at(&ids).await?;
            let is_whole = products.len() == ids.len();
            // Where the position is the same, nothing was committed meanwhile: a product that is gone from the database alone was
            // removed by somebody who told nobody.
            if is_whole || is_late || found.position >= database {
                found.is_stale = is_late || !is_whole;
                return Ok((found.page(query, products), found));
            }
            metrics::count_retry();
            wanted = Some(database);
        }
    }

    /// Completions, and whether they may lack changes from before the call.
    pub(crate) async fn complete(
        &self,
        text: &SearchText,
        limit: usize,
    ) -> Result<(Vec<Suggestion>, bool), SearchError> {
        let (index, _, is_late) = self.index(&mut None, Instant::now() + self.wait).await?;
        Ok((self.suggest(&index, text, limit).await?, is_late))
    }

    /// The index and its position once that is the wanted one, which is the database's own at first, or when time is up: whether it
    /// was.
    async fn index(
        &self,
        wanted: &mut Option<u64>,
        until: Instant,
    ) -> Result<(String, u64, bool), SearchError> {
        loop {
            if self.state().0 == SearchStatus::Failed {
                return Err(EngineError::Unavailable("it did not answer".to_owned()).into());
            }
            let IndexPointer { name, noted, database } = self.pointer().await?;
            let name = name.filter(|name| self.version(name) == Some(SCHEMA)).ok_or(EngineError::NotBuilt)?;
            // What a backup has that was restored since then may be less. An index of another language has other stems.
            let has_all = (*wanted.get_or_insert(database)..=database).contains(&noted)
                && name.starts_with(&self.beginning());
            if has_all || self.is_behind.load(Ordering::Relaxed) || Instant::now() >= until {
                return Ok((name, noted, !has_all));
            }
            sleep(PAUSE).await;
        }
    }

    /// What the database says after this call: one statement for all who ask meanwhile.
    async fn pointer(&self) -> Result<IndexPointer, SearchError> {
        let asked = Instant::now();
        let mut last = self.pointer.lock().await;
        if let Some((_, pointer)) = last.as_ref().filter(|(begun, _)| *begun >= asked) {
            return Ok(pointer.clone());
        }
        let begun = Instant::now();
        let pointer = self.catalog.index_pointer().await?;
        *last = Some((begun, pointer.clone()));
        Ok(pointer)
    }

    /// Looks after the index, for ever.
    pub(crate) async fn watch(self: Arc<Self>) {
        let mut failing = false;
        // A position that the index has to have, and since when.
        let mut owed: Option<(u64, Instant)> = None;
        loop {
            let state = match self.look(&mut owed).await {
                Ok(Some(documents)) => (SearchStatus::Ready, Some(documents)),
                Ok(None) => (SearchStatus::Building, None),
                // The health check says that of the database, and who is busy is there.
                Err(SearchError::Catalog(_) | SearchError::Engine(EngineError::Busy)) => self.state(),
                Err(SearchError::Engine(error)) => {
                    if !replace(&mut failing, true) {
                        warn!(%error, "the search engine cannot be asked");
                    }
                    (SearchStatus::Failed, None)
                }
            };
            if state.0 != SearchStatus::Failed && take(&mut failing) {
                info!("the search engine answers again");
            }
            let lag = owed.map_or(Duration::ZERO, |(_, since)| since.elapsed());
            self.is_behind.store(lag > self.wait, Ordering::Relaxed);
            self.state.send_replace(state);
            metrics::show(state.0, state.1.unwrap_or(0), 0);
            metrics::show_lag(lag);
            sleep(self.poll).await;
        }
    }

    /// How many products the index has; `None` where there is none.
    async fn look(&self, owed: &mut Option<(u64, Instant)>) -> Result<Option<u64>, SearchError> {
        let IndexPointer { name, noted, database } = self.pointer().await?;
        // A backup that was restored has less than was owed.
        if owed.is_none_or(|(position, _)| noted >= position.min(database)) {
            *owed = (noted < database).then(|| (database, Instant::now()));
        }
        metrics::show_position(noted);
        let Some(name) = name.filter(|name| self.version(name) == Some(SCHEMA)) else {
            *owed = None;
            return Ok(None);
        };
        match timeout(LOOK_TIMEOUT, self.client.count(&name)).await.unwrap_or(Err(EngineError::Deadline)) {
            Err(EngineError::NotBuilt) => Ok(None),
            documents => Ok(Some(documents?)),
        }
    }

    /// The version of an index of ours; `None` if the name is none of ours: it has more parts where another's prefix begins as ours.
    fn version(&self, name: &str) -> Option<u32> {
        let parts = name.strip_prefix(&self.prefix)?.strip_prefix("-v")?;
        let [version, _language, _time] = parts.split('-').collect::<Vec<_>>()[..] else { return None };
        version.parse().ok()
    }
}
