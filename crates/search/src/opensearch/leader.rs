//! Builds the index, and keeps it where the database is, in one process at a time: that whose connection has the lock.
//!
//! After an error it starts again from what the database says. A process that does not know yet that it has lost the lock cannot
//! note anything, and a write of its own that comes late is of an older version.

use std::{
    convert::Infallible,
    error::Error as _,
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use backon::{ConstantBuilder, Retryable as _};
use farmlokal_catalog::{ChangePosition, Changes, IndexRow, IndexWriter};
use reqwest::Method;
use tokio::{
    task::{JoinSet, spawn_blocking},
    time::{Instant, sleep, timeout},
};
use tracing::{info, warn};

use super::{
    OpenSearch,
    documents::{SCHEMA, bulks, definition},
};
use crate::{
    EngineError, SearchError, SearchStatus,
    follower::{CHUNK, LONGEST_AWAY},
    metrics,
};

/// The pause after an error, and how often a bulk is tried again: a build must not start anew because the cluster is busy.
const PAUSE: Duration = Duration::from_secs(4);
const RETRIES: usize = 4;
/// Errors in a row after which another process may try.
const ERRORS: u32 = 5;
/// A look at the database costs little, and searches wait for what nobody told of.
const LONGEST_POLL: Duration = Duration::from_millis(200);
/// How often the lock's connection is used, which the database ends after 30 s of silence.
const PING: Duration = Duration::from_secs(10);

/// An index, how far it is, and when the database was there too.
type Built = (String, ChangePosition, Instant);

impl OpenSearch {
    /// Keeps the index whenever no other process does, for ever.
    pub(crate) async fn lead(self: Arc<Self>) {
        let (mut lock, mut rebuilt, mut errors) = (None, 0, 0);
        loop {
            let started = Instant::now();
            let Err(error) = self.lead_once(&mut lock, &mut rebuilt).await;
            warn!(%error, cause = error.source().map(tracing::field::display), "the search index is not kept up to date, it is tried again");
            errors = if started.elapsed() < PAUSE { errors + 1 } else { 1 };
            // Another process could do no better while the cluster is busy or gone, but perhaps this one alone cannot reach it.
            let is_ours =
                matches!(error, SearchError::Catalog(_) | SearchError::Engine(EngineError::Failed(_)));
            if is_ours || errors >= ERRORS {
                (lock, errors) = (None, 0);
            }
            sleep(PAUSE).await;
        }
    }

    /// Keeps it until something fails. `rebuilt`: how many of the [rebuilds](Self::rebuild) are done.
    async fn lead_once(
        self: &Arc<Self>,
        lock: &mut Option<IndexWriter>,
        rebuilt: &mut u64,
    ) -> Result<Infallible, SearchError> {
        let writer = if let Some(writer) = lock {
            writer
        } else {
            let writer = lock.insert(self.catalog.index_writer().await?);
            // What was asked for before, the process did that had the lock.
            *rebuilt = self.rebuilds.load(Ordering::Relaxed);
            info!("this process keeps the search index");
            writer
        };
        let noted = writer.index().await?;
        if noted.as_ref().and_then(|(name, ..)| self.version(name)) > Some(SCHEMA) {
            Err(EngineError::Failed("the search index is of a newer program".to_owned()))?;
        }
        self.clean_up(writer).await?;
        let noted = noted.filter(|(name, ..)| name.starts_with(&self.beginning()));
        let mut followed =
            noted.and_then(|(name, position, age)| Some((name, position, Instant::now().checked_sub(age)?)));
        let (mut builds, mut asked) = (JoinSet::<Result<Built, SearchError>>::new(), 0);
        loop {
            if let Some(built) = followed {
                followed = self.follow(writer, built).await?;
            } else {
                // So that the connection is not silent.
                writer.index().await?;
            }
            let rebuilds = self.rebuilds.load(Ordering::Relaxed);
            if builds.is_empty() && (followed.is_none() || rebuilds != *rebuilt) {
                self.clean_up(writer).await?;
                asked = rebuilds;
                builds.spawn(Arc::clone(self).build());
            }
            tokio::select! {
                Some(built) = builds.join_next() => {
                    let built = built.map_err(EngineError::from)??;
                    writer.note(&built.0, &built.1).await?;
                    (followed, *rebuilt) = (Some(built), asked);
                }
                () = self.woken.notified() => {}
                () = sleep(self.poll.min(LONGEST_POLL)) => {}
            }
        }
    }

    /// Brings the index to where the database is; `None` where it has to be rebuilt.
    async fn follow(
        &self,
        writer: &mut IndexWriter,
        (name, position, looked): Built,
    ) -> Result<Option<Built>, SearchError> {
        let why = match writer.changes_since(&position).await? {
            Changes::Products(now, _) if now == position => {
                let is_missing = self.state().0 == SearchStatus::Building;
                if !is_missing || !matches!(self.client.count(&name).await, Err(EngineError::NotBuilt)) {
                    return Ok(Some((name, position, Instant::now())));
                }
                "somebody has deleted it"
            }
            Changes::Products(now, changed) if looked.elapsed() < LONGEST_AWAY => {
                match beside(writer, self.write(&name, changed, now.sum(), true)).await {
                    Ok(true) => {
                        writer.note(&name, &now).await?;
                        metrics::count_commit();
                        return Ok(Some((name, now, Instant::now())));
                    }
                    // Positions only rise, and nobody else writes to an index that is noted.
                    Ok(false) => "an older backup of the database was restored",
                    Err(SearchError::Engine(EngineError::NotBuilt)) => "somebody has deleted it",
                    Err(error) => return Err(error),
                }
            }
            _ => "the catalogue as a whole has changed",
        };
        info!(why, "the search index is rebuilt");
        Ok(None)
    }

    /// Stores products, or removes those that are `None`, as they were at a position. What the index has of a later one stays, and
    /// the answer is `false`.
    pub(crate) async fn write(
        &self,
        index: &str,
        changes: Vec<(u64, Option<IndexRow>)>,
        version: u64,
        refresh: bool,
    ) -> Result<bool, EngineError> {
        let (mut bulks, mut is_newest) = (bulks(self.analysis, changes, version), true);
        loop {
            let (bulk, rest) = spawn_blocking(move || (bulks.next(), bulks)).await?;
            let Some(bulk) = bulk else { return Ok(is_newest) };
            bulks = rest;
            let send = || self.client.bulk(index, &bulk, refresh);
            let again = ConstantBuilder::new().with_delay(PAUSE).with_max_times(RETRIES);
            let may_pass =
                |error: &EngineError| matches!(error, EngineError::Busy | EngineError::Unavailable(_));
            is_newest &= send.retry(again).when(may_pass).await?;
        }
    }

    /// A new index that has all changes up to its position. However many there are meanwhile, it ends: each chunk is followed by
    /// those that came while it was written.
    async fn build(self: Arc<Self>) -> Result<Built, SearchError> {
        let started = Instant::now();
        let mut position = self.catalog.change_position().await?;
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        let name = format!("{}{time}", self.beginning());
        self.create(&name).await?;
        let mut read_at = position.sum();
        let (mut rows, mut products) = (self.catalog.index_rows(0, CHUNK).await?, 0);
        while let Some(last) = rows.last().map(|row| row.product.id) {
            products += rows.len();
            // The next ones are read beside the write of these: not before this position.
            let next_read_at = position.sum();
            let stored = rows.into_iter().map(|row| (row.product.id, Some(row))).collect();
            let (written, next) =
                tokio::join!(self.write(&name, stored, read_at, false), self.catalog.index_rows(last, CHUNK));
            written?;
            rows = next?;
            let Changes::Products(now, changed) = self.catalog.changes_since(&position).await? else {
                return Err(EngineError::NotBuilt.into());
            };
            self.write(&name, changed, now.sum(), false).await?;
            (position, read_at) = (now, next_read_at);
        }
        self.client.call(Method::POST, &format!("{name}/_refresh"), String::new()).await?;
        metrics::show_build(started.elapsed());
        info!(products, seconds = started.elapsed().as_secs_f64(), "the search index is built");
        Ok((name, position, Instant::now()))
    }

    pub(crate) async fn create(&self, name: &str) -> Result<(), EngineError> {
        self.client.call(Method::PUT, name, definition(name).to_string()).await.map(drop)
    }

    /// Deletes what a build left that did not end, and the index from before the noted one, which searches asked until that was.
    async fn clean_up(&self, writer: &mut IndexWriter) -> Result<(), SearchError> {
        for index in self.client.indices(&self.prefix).await? {
            // A process that has lost the lock must not delete what another has noted.
            let noted = writer.index().await?;
            if self.version(&index).is_some() && noted.is_none_or(|(name, ..)| name != index) {
                self.client.call(Method::DELETE, &index, String::new()).await?;
            }
        }
        Ok(())
    }

    /// How the names of indices begin that have our documents.
    pub(super) fn beginning(&self) -> String {
        format!("{}-v{SCHEMA}-{}-", self.prefix, self.analysis.language.name())
    }
}

/// Does this, while the connection that has the lock is not silent.
async fn beside<T>(
    writer: &mut IndexWriter,
    work: impl Future<Output = Result<T, EngineError>>,
) -> Result<T, SearchError> {
    let mut work = pin!(work);
    loop {
        match timeout(PING, &mut work).await {
            Ok(done) => return Ok(done?),
            Err(_) => writer.index().await.map(drop)?,
        }
    }
}
