//! Builds the index, and keeps it where the database is.

use std::{
    collections::VecDeque,
    error::Error as _,
    mem::{replace, take},
    panic::resume_unwind,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use backon::{BackoffBuilder as _, ExponentialBuilder};
use farmlokal_catalog::{Catalog, ChangePosition, Changes, IndexRow};
use tokio::{
    sync::{Mutex, Notify, OwnedMutexGuard, watch},
    task::spawn_blocking,
    time::{sleep, timeout},
};
use tracing::{Instrument as _, error, info, warn};

use crate::{Engine, EngineError, Rebuild, SearchError, SearchStatus, metrics};

/// The pause before a search is asked again whose rows are missing, or of a position that the index cannot reach yet.
pub(crate) const PAUSE: Duration = Duration::from_millis(20);
/// Products that are read at a time. Those before are indexed meanwhile.
pub(crate) const CHUNK: u32 = 10_000;
/// After so long without a look at the database the index is rebuilt: long before changes are pruned from it, which is a day.
pub(crate) const LONGEST_AWAY: Duration = Duration::from_hours(12);
/// A catalogue that did not fit is tried again after so long.
const TOO_LARGE_PAUSE: Duration = Duration::from_mins(10);
/// The shortest and the longest pause before a build that failed is tried again.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// How long a build beside an index that answers is put off.
const QUIET: Duration = Duration::from_secs(3);
/// Steps whose products are remembered, and products of one step at the most.
const REMEMBERED: (usize, usize) = (128, 1_000);

/// An answer of the index whose position was not the database's.
pub(crate) struct Behind {
    /// The answer's position.
    pub(crate) index: u64,
    /// The database's, when it read the answer's rows.
    pub(crate) database: u64,
    /// The answer's products.
    pub(crate) products: Vec<u64>,
}

/// How far the index is.
pub(crate) struct Progress {
    position: ChangePosition,
    /// When it had all changes.
    looked: Instant,
    steps: Steps,
}

impl Progress {
    fn new(position: ChangePosition) -> Progress {
        metrics::show_position(position.sum());
        Progress { position, looked: Instant::now(), steps: Steps::default() }
    }

    fn step_to(&mut self, position: ChangePosition, products: Vec<u64>) {
        self.steps.push(self.position.sum(), products);
        metrics::show_position(position.sum());
        self.position = position;
    }
}

/// What the last steps of the index changed: the position before each, oldest first, without gaps, and its products.
#[derive(Default)]
struct Steps(VecDeque<(u64, Vec<u64>)>);

impl Steps {
    fn push(&mut self, before: u64, products: Vec<u64>) {
        if products.len() > REMEMBERED.1 {
            self.0.clear();
        } else {
            self.0.push_back((before, products));
        }
        if self.0.len() > REMEMBERED.0 {
            self.0.pop_front();
        }
    }

    /// Whether it is known that none of these products has changed since a position that the index had.
    fn have_left(&self, products: &[u64], since: u64) -> bool {
        let mut steps = self.0.iter().skip_while(|(before, _)| *before != since).peekable();
        steps.peek().is_some()
            && steps.all(|(_, changed)| changed.iter().all(|product| !products.contains(product)))
    }
}

pub(crate) struct Follower<E> {
    pub(crate) catalog: Catalog,
    pub(crate) engine: E,
    poll: Duration,
    status: watch::Sender<SearchStatus>,
    /// Whoever changes the index or the status holds it. `None` unless the index is ready.
    progress: Arc<Mutex<Option<Progress>>>,
    woken: Notify,
    rebuild: Notify,
    reported_missing: AtomicBool,
}

impl<E: Engine> Follower<E> {
    pub(crate) fn new(catalog: Catalog, engine: E, poll: Duration) -> Follower<E> {
        Follower {
            catalog,
            engine,
            poll,
            status: watch::Sender::new(SearchStatus::Building),
            progress: Arc::default(),
            woken: Notify::new(),
            rebuild: Notify::new(),
            reported_missing: AtomicBool::new(false),
        }
    }

    pub(crate) fn wake(&self) {
        self.woken.notify_one();
    }

    pub(crate) fn rebuild(&self) {
        self.rebuild.notify_one();
    }

    pub(crate) fn status(&self) -> SearchStatus {
        *self.status.borrow()
    }

    pub(crate) fn require_ready(&self) -> Result<(), EngineError> {
        match self.status() {
            SearchStatus::Ready => Ok(()),
            SearchStatus::Building | SearchStatus::Failed => Err(EngineError::NotBuilt),
            SearchStatus::TooLarge => Err(EngineError::TooLarge),
        }
    }

    /// A product that the index has and the database has not, at the same position: somebody changed products and told nobody, or
    /// there is a defect. The index is rebuilt; one line says so.
    pub(crate) fn report_missing(&self) {
        if !self.reported_missing.swap(true, Ordering::Relaxed) {
            error!("the search index has a product that the database has not: it is rebuilt");
            self.rebuild();
        }
    }

    /// Brings the index to where the database is, unless it is there already since the answer that was `behind`. Whether none of
    /// that answer's products has changed since.
    ///
    /// One call at a time does so, in a task of its own: the engine may go on with what it was told, so the work is not cut off
    /// where the caller goes away. A caller that goes away while it waits for its turn leaves no work behind.
    pub(crate) async fn catch_up(self: &Arc<Self>, behind: Option<Behind>) -> Result<bool, SearchError> {
        let progress = Arc::clone(&self.progress).lock_owned().await;
        let follower = Arc::clone(self);
        let task = async move { follower.catch_up_locked(progress, behind).await };
        match tokio::spawn(task.in_current_span()).await {
            Ok(result) => result,
            // It panics here as well: the process ends if it is the follower that asked.
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                Err(error) => Err(EngineError::from(error).into()),
            },
        }
    }

    async fn catch_up_locked(
        &self,
        mut progress: OwnedMutexGuard<Option<Progress>>,
        behind: Option<Behind>,
    ) -> Result<bool, SearchError> {
        self.require_ready()?;
        let Some(Progress { position, looked, .. }) = progress.as_ref() else {
            return Err(EngineError::NotBuilt.into());
        };
        let sum = position.sum();
        let is_there =
            |behind: &Behind| behind.index < sum && behind.database <= sum && behind.index <= behind.database;
        if !behind.as_ref().is_some_and(is_there) {
            match self.catalog.changes_since(position).await? {
                Changes::Products(now, changed) if looked.elapsed() < LONGEST_AWAY || now == *position => {
                    let applied = self.apply(&mut progress, now, changed).await;
                    applied.inspect_err(|_| self.rebuild())?;
                }
                _ => {
                    info!("the catalogue as a whole has changed: the search index is rebuilt");
                    *progress = None;
                    self.status.send_replace(SearchStatus::Building);
                    self.rebuild();
                    return Err(EngineError::NotBuilt.into());
                }
            }
        }
        let (Some(behind), Some(done)) = (behind, progress.as_ref()) else { return Ok(false) };
        if done.position.sum() >= behind.database {
            return Ok(done.steps.have_left(&behind.products, behind.index));
        }
        // The rows are of a read replica, which may have a change a moment before the primary commits it.
        drop(progress);
        sleep(PAUSE).await;
        Ok(false)
    }

    /// After an error there is no index any more.
    async fn apply(
        &self,
        progress: &mut Option<Progress>,
        now: ChangePosition,
        changed: Vec<(u64, Option<IndexRow>)>,
    ) -> Result<(), SearchError> {
        let Some(done) = progress else { return Err(EngineError::NotBuilt.into()) };
        if done.position != now {
            let products = changed.iter().map(|(product, _)| *product).collect();
            if let Err(error) = self.engine.apply(changed, &now).await {
                error!(%error, "a change of the search index failed: it is rebuilt");
                *progress = None;
                self.status.send_replace(SearchStatus::Building);
                return Err(error.into());
            }
            metrics::count_commit();
            done.step_to(now, products);
        }
        done.looked = Instant::now();
        self.status.send_replace(SearchStatus::Ready);
        Ok(())
    }

    /// Follows the database, for ever.
    pub(crate) async fn follow(self: Arc<Self>) {
        let (mut failing, mut looked) = (false, Instant::now());
        loop {
            match self.catch_up(None).await {
                // The build says why.
                Ok(_) | Err(SearchError::Engine(EngineError::NotBuilt | EngineError::TooLarge)) => {
                    if take(&mut failing) {
                        info!("the search index follows the database again");
                    }
                    looked = Instant::now();
                    metrics::show_lag(Duration::ZERO);
                }
                Err(error) => {
                    if !replace(&mut failing, true) {
                        warn!(%error, cause = error.source().map(display), "the search index does not follow the database");
                    }
                    metrics::show_lag(looked.elapsed());
                }
            }
            self.show();
            tokio::select! {
                () = self.woken.notified() => {}
                () = sleep(self.poll) => {}
            }
        }
    }

    /// Builds the index whenever [asked](Self::rebuild), for ever.
    pub(crate) async fn keep_built(self: Arc<Self>) {
        loop {
            self.rebuild.notified().await;
            if self.require_ready().is_ok() {
                // Nobody waits for it, unless the index goes meanwhile, and a build would take the time of those who fill the
                // caches after a flush.
                let mut status = self.status.subscribe();
                let _ = timeout(QUIET, status.wait_for(|status| *status != SearchStatus::Ready)).await;
            }
            self.build_until_done().await;
        }
    }

    async fn build_until_done(&self) {
        let mut failing = false;
        let pauses = ExponentialBuilder::new().with_min_delay(PAUSES.0).with_max_delay(PAUSES.1);
        let mut pauses = pauses.without_max_times().with_jitter().build();
        loop {
            match self.build().await {
                Ok(true) => return,
                Ok(false) => {}
                Err(SearchError::Engine(EngineError::TooLarge)) => {
                    self.show_failure(SearchStatus::TooLarge).await;
                    error!("SEARCH_MEMORY is too small for an index of the catalogue");
                    tokio::select! {
                        () = self.rebuild.notified() => {}
                        () = sleep(TOO_LARGE_PAUSE) => {}
                    }
                    continue;
                }
                Err(error) => {
                    self.show_failure(SearchStatus::Failed).await;
                    if !replace(&mut failing, true) {
                        warn!(%error, cause = error.source().map(display), "the search index cannot be built, it is tried again");
                    }
                }
            }
            sleep(pauses.next().unwrap_or(PAUSES.1)).await;
        }
    }

    /// Builds an index and lets it answer, unless the catalogue as a whole has changed meanwhile.
    async fn build(&self) -> Result<bool, SearchError> {
        let started = Instant::now();
        let start = self.catalog.change_position().await?;
        let mut rebuild = self.start_rebuild().await?;
        let (mut rows, mut products) = (self.catalog.index_rows(0, CHUNK).await?, 0);
        while let Some(last) = rows.last().map(|row| row.product.id) {
            products += rows.len();
            let (added, next) = tokio::join!(rebuild.add(rows), self.catalog.index_rows(last, CHUNK));
            added?;
            rows = next?;
        }
        let replace = rebuild.finish(&start).await?;
        // Searches that have to catch up wait for no more than what follows.
        let mut progress = self.progress.lock().await;
        let Changes::Products(now, changed) = self.catalog.changes_since(&start).await? else {
            return Ok(false);
        };
        spawn_blocking(replace).await.map_err(EngineError::from)?;
        *progress = Some(Progress::new(start));
        self.apply(&mut progress, now, changed).await?;
        drop(progress);
        self.reported_missing.store(false, Ordering::Relaxed);
        metrics::show_build(started.elapsed());
        self.show();
        info!(products, seconds = started.elapsed().as_secs_f64(), "the search index is built");
        Ok(true)
    }

    async fn start_rebuild(&self) -> Result<impl Rebuild, EngineError> {
        let mut progress = self.progress.lock().await;
        let rebuild = self.engine.rebuild()?;
        if self.engine.documents().is_none() && progress.take().is_some() {
            info!(
                "SEARCH_MEMORY has no room for two search indexes: there is none until the new one is built"
            );
            self.status.send_replace(SearchStatus::Building);
        }
        Ok(rebuild)
    }

    /// Says why there is no index, unless there is one still.
    async fn show_failure(&self, failure: SearchStatus) {
        let progress = self.progress.lock().await;
        if progress.is_none() {
            self.status.send_replace(failure);
        }
        drop(progress);
        self.show();
    }

    fn show(&self) {
        metrics::show(self.status(), self.engine.documents().unwrap_or(0), self.engine.memory());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_to_be_unchanged_is() {
        let mut steps = Steps::default();
        assert!(!steps.have_left(&[], 10), "nothing is known");
        steps.push(10, vec![1]);
        steps.push(12, vec![2, 3]);
        assert!(steps.have_left(&[4, 5], 10) && steps.have_left(&[1], 12));
        assert!(!steps.have_left(&[4, 1], 10) && !steps.have_left(&[3], 12));
        // No position that the index had, and one that is too old.
        assert!(!steps.have_left(&[4], 11) && !steps.have_left(&[4], 9));
        steps.push(15, (0..=REMEMBERED.1 as u64).collect());
        assert!(!steps.have_left(&[9_999], 10) && !steps.have_left(&[9_999], 15));
        for before in 16..=16 + REMEMBERED.0 as u64 {
            steps.push(before, vec![1]);
        }
        assert!(steps.have_left(&[2], 17) && !steps.have_left(&[2], 16));
    }
}
