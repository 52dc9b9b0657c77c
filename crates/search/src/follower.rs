//! Builds the index, and keeps it where the database is.

use std::{
    collections::VecDeque,
    error::Error as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use farmlokal_catalog::{Catalog, ChangePosition, Changes, IndexRow};
use tokio::{
    sync::{Mutex, Notify, watch},
    time::sleep,
};
use tracing::{error, info, warn};

use crate::{Engine, EngineError, Rebuild, SearchError, metrics};

/// Products that are read at a time. Those before are indexed meanwhile.
const CHUNK: u32 = 10_000;
/// After so long without a look at the database some changes may have been pruned from it.
const LONGEST_AWAY: Duration = Duration::from_mins(30);
/// A catalogue that did not fit is tried again after so long.
const TOO_LARGE_PAUSE: Duration = Duration::from_mins(10);
/// How long a build beside an index that answers is put off.
const QUIET: Duration = Duration::from_secs(3);
/// The longest pause between attempts while the database is down.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);
/// Steps whose products are remembered, and products of one step at the most.
const REMEMBERED: (usize, usize) = (128, 1_000);

/// What becomes of the index. There is one, with a position, where it is ready.
#[derive(Clone, Debug)]
pub(crate) enum State {
    /// None, for this reason if an attempt has failed.
    Building(Option<String>),
    /// It had all changes at this moment.
    Ready { looked: Instant },
    /// None: it may only have so many bytes.
    TooLarge { limit: u64 },
}

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
struct Progress {
    position: ChangePosition,
    steps: Steps,
}

impl Progress {
    fn new(position: ChangePosition) -> Progress {
        metrics::show_position(position.sum());
        Progress { position, steps: Steps::default() }
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
    state: watch::Sender<State>,
    /// Whoever changes the index or the state holds it. `None` unless the index is ready.
    progress: Mutex<Option<Progress>>,
    news: Notify,
    anew: Notify,
    reported_missing: AtomicBool,
}

impl<E: Engine> Follower<E> {
    pub(crate) fn new(catalog: Catalog, engine: E, poll: Duration) -> Follower<E> {
        Follower {
            catalog,
            engine,
            poll,
            state: watch::Sender::new(State::Building(None)),
            progress: Mutex::new(None),
            news: Notify::new(),
            anew: Notify::new(),
            reported_missing: AtomicBool::new(false),
        }
    }

    pub(crate) fn wake(&self) {
        self.news.notify_one();
    }

    pub(crate) fn read_anew(&self) {
        self.anew.notify_one();
    }

    pub(crate) fn state(&self) -> State {
        self.state.borrow().clone()
    }

    pub(crate) async fn ready(&self) {
        // The sender is our own.
        let _ = self.state.subscribe().wait_for(|state| matches!(state, State::Ready { .. })).await;
    }

    pub(crate) fn require_ready(&self) -> Result<(), EngineError> {
        match *self.state.borrow() {
            State::Ready { .. } => Ok(()),
            State::Building(_) => Err(EngineError::NotBuilt),
            State::TooLarge { limit } => Err(EngineError::TooLarge { limit }),
        }
    }

    /// A look at each poll is up to date.
    pub(crate) fn lag(&self) -> Duration {
        let State::Ready { looked } = *self.state.borrow() else { return Duration::ZERO };
        Some(looked.elapsed()).filter(|elapsed| *elapsed > 2 * self.poll).unwrap_or_default()
    }

    /// A product that the index has and the database has not, at the same position: somebody changed products and told nobody, or
    /// there is a defect. The catalogue is read anew; one line says so.
    pub(crate) fn report_missing(&self) {
        if !self.reported_missing.swap(true, Ordering::Relaxed) {
            error!("the search index has a product that the database has not: the catalogue is read anew");
            self.read_anew();
        }
    }

    /// Brings the index to where the database is, unless it is there already since the answer that was `behind`. Whether none of
    /// that answer's products has changed since.
    ///
    /// Must not be cut off: the engine may go on with what it was told.
    pub(crate) async fn catch_up(&self, behind: Option<Behind>) -> Result<bool, SearchError> {
        let mut progress = self.progress.lock().await;
        self.require_ready()?;
        let Some(Progress { position, .. }) = progress.as_ref() else {
            return Err(EngineError::NotBuilt.into());
        };
        let sum = position.sum();
        let is_there =
            |behind: &Behind| behind.index < sum && behind.database <= sum && behind.index <= behind.database;
        if !behind.as_ref().is_some_and(is_there) {
            let is_away = matches!(self.state(), State::Ready { looked } if looked.elapsed() > LONGEST_AWAY);
            match self.catalog.changes_since(position).await? {
                Changes::Products(now, changed) if !is_away || now == *position => {
                    let applied = self.apply(&mut progress, now, changed).await;
                    applied.inspect_err(|_| self.read_anew())?;
                }
                _ => {
                    info!("the catalogue as a whole has changed: the search index is built anew");
                    *progress = None;
                    self.state.send_replace(State::Building(None));
                    self.read_anew();
                    return Err(EngineError::NotBuilt.into());
                }
            }
        }
        let is_unchanged =
            |behind: Behind| progress.as_ref()?.steps.have_left(&behind.products, behind.index).into();
        Ok(behind.and_then(is_unchanged).unwrap_or(false))
    }

    /// After an error there is no index any more.
    async fn apply(
        &self,
        progress: &mut Option<Progress>,
        now: ChangePosition,
        changed: Vec<(u64, Option<IndexRow>)>,
    ) -> Result<(), SearchError> {
        if let Some(done) = progress.as_mut().filter(|done| done.position != now) {
            let products = changed.iter().map(|(product, _)| *product).collect();
            if let Err(error) = self.engine.apply(changed, &now).await {
                error!(%error, "a change of the search index failed: it is built anew");
                *progress = None;
                self.state.send_replace(State::Building(None));
                return Err(error.into());
            }
            metrics::count_commit();
            done.step_to(now, products);
        }
        self.state.send_replace(State::Ready { looked: Instant::now() });
        Ok(())
    }

    /// Follows the database, for ever.
    pub(crate) async fn follow(self: Arc<Self>) {
        let mut outage = Outage::default();
        loop {
            let result = self.catch_up(None).await;
            self.show();
            match result {
                // The build says why.
                Ok(_) | Err(SearchError::Engine(_)) => outage.end(),
                Err(error) => {
                    outage.log(&error, "the search index does not follow the database");
                    sleep(outage.pause()).await;
                    continue;
                }
            }
            tokio::select! {
                () = self.news.notified() => {}
                () = sleep(self.poll) => {}
            }
        }
    }

    /// Builds the index whenever [asked](Self::read_anew), for ever.
    pub(crate) async fn keep_built(self: Arc<Self>) {
        loop {
            self.anew.notified().await;
            if self.require_ready().is_ok() {
                // Nobody waits for it, and a build would take the time of those who fill the caches after a flush.
                sleep(QUIET).await;
            }
            self.build_until_done().await;
        }
    }

    async fn build_until_done(&self) {
        let mut outage = Outage::default();
        loop {
            let error = match self.build().await {
                Ok(true) => return outage.end(),
                Ok(false) => continue,
                Err(error) => error,
            };
            self.show_failure(&error).await;
            if let SearchError::Engine(EngineError::TooLarge { limit }) = error {
                error!(limit, "SEARCH_MEMORY is too small for an index of the catalogue");
                tokio::select! {
                    () = self.anew.notified() => {}
                    () = sleep(TOO_LARGE_PAUSE) => {}
                }
            } else {
                outage.log(&error, "the search index cannot be built, it is tried again");
                sleep(outage.pause()).await;
            }
        }
    }

    /// Builds an index and lets it answer, unless the catalogue as a whole has changed meanwhile.
    async fn build(&self) -> Result<bool, SearchError> {
        let started = Instant::now();
        let start = self.catalog.change_position().await?;
        let mut rebuild = self.start_rebuild().await?;
        let (mut rows, mut products) = (self.catalog.index_rows(0, CHUNK).await?, 0);
        while let Some(last) = rows.last().map(|row| row.id) {
            products += rows.len();
            let (added, next) = tokio::join!(rebuild.add(rows), self.catalog.index_rows(last, CHUNK));
            added?;
            rows = next?;
        }
        let mut progress = self.progress.lock().await;
        let Changes::Products(now, changed) = self.catalog.changes_since(&start).await? else {
            return Ok(false);
        };
        rebuild.finish(&start).await?;
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
            self.state.send_replace(State::Building(None));
        }
        Ok(rebuild)
    }

    /// Says why there is no index, unless there is one still.
    async fn show_failure(&self, error: &SearchError) {
        let progress = self.progress.lock().await;
        if progress.is_none() {
            self.state.send_replace(match error {
                SearchError::Engine(EngineError::TooLarge { limit }) => State::TooLarge { limit: *limit },
                error => State::Building(Some(error.to_string())),
            });
        }
        drop(progress);
        self.show();
    }

    fn show(&self) {
        let (is_ready, documents) = (self.require_ready().is_ok(), self.engine.documents().unwrap_or(0));
        metrics::show(is_ready, documents, self.lag(), self.engine.memory());
    }
}

/// Attempts that fail, one after the other: one line in the log, and longer and longer pauses.
#[derive(Default)]
struct Outage(Option<ExponentialBackoff>);

impl Outage {
    fn log(&self, error: &SearchError, what: &str) {
        if self.0.is_none() {
            warn!(%error, cause = error.source().map(tracing::field::display), "{what}");
        }
    }

    fn pause(&mut self) -> Duration {
        let delays = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(50))
            .with_max_delay(LONGEST_PAUSE)
            .without_max_times()
            .with_jitter();
        self.0.get_or_insert_with(|| delays.build()).next().unwrap_or(LONGEST_PAUSE)
    }

    fn end(&mut self) {
        if self.0.take().is_some() {
            info!("the search index goes on");
        }
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
