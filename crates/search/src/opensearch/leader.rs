//! Builds the index, and keeps it where the database is, in one process at a time: that whose connection has the lock.
//!
//! Whatever fails ends its term: another process, or the same one later, starts from what the database says. A process that does not
//! know yet that it has lost the lock cannot note anything, and a write of its own that comes late is of an older version.

use std::{
    convert::Infallible,
    error::Error as _,
    mem::{replace, take},
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use backon::{BackoffBuilder as _, ExponentialBuilder};
use farmlokal_catalog::{ChangePosition, Changes, IndexRow, IndexWriter};
use tokio::{
    task::{JoinSet, spawn_blocking},
    time::{Instant, sleep},
};
use tracing::{info, warn};

use super::{
    OpenSearch,
    documents::{SCHEMA, bulks, definition},
};
use crate::{EngineError, SearchError, follower::CHUNK, metrics};

/// How often a process asks whether it can be the one that writes.
const STAND_BY: Duration = Duration::from_secs(2);
/// The shortest and the longest pause after a term that failed.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));
/// A look at the database costs little, and searches wait for what nobody told of.
const LONGEST_POLL: Duration = Duration::from_millis(200);

/// An index and how far it is.
type Built = (String, ChangePosition);

impl OpenSearch {
    /// Keeps the index whenever no other process does, for ever.
    pub(crate) async fn lead(self: Arc<Self>) {
        let pauses = ExponentialBuilder::new().with_min_delay(PAUSES.0).with_max_delay(PAUSES.1);
        let pauses = pauses.without_max_times().with_jitter();
        let (mut left, mut failing) = (pauses.build(), false);
        loop {
            let started = Instant::now();
            let ended = match self.catalog.index_writer().await {
                Ok(None) => {
                    sleep(STAND_BY).await;
                    continue;
                }
                Ok(Some(mut writer)) => {
                    let Err(error) = self.term(&mut writer).await;
                    error
                }
                Err(error) => error.into(),
            };
            if started.elapsed() > PAUSES.1 {
                (left, failing) = (pauses.build(), false);
            }
            if !replace(&mut failing, true) {
                warn!(error = %ended, cause = ended.source().map(tracing::field::display), "the search index is not kept up to date, it is tried again");
            }
            sleep(left.next().unwrap_or(PAUSES.1)).await;
        }
    }

    /// Keeps it until something fails.
    async fn term(self: &Arc<Self>, writer: &mut IndexWriter) -> Result<Infallible, SearchError> {
        let noted = writer.index().await?;
        let version = noted.as_ref().and_then(|(name, _)| self.version(name));
        if version > Some(SCHEMA) {
            Err(EngineError::Failed("the search index is of a newer program".to_owned()))?;
        }
        // What a process left that was killed while it built one.
        self.delete_all_but(noted.as_ref().map(|(name, _)| name.as_str())).await?;
        let mut followed = noted.filter(|(name, _)| name.starts_with(&self.beginning()));
        let mut builds: JoinSet<Result<Built, SearchError>> = JoinSet::new();
        let mut must_build = false;
        info!("this process keeps the search index");
        loop {
            if let Some((name, position)) = followed {
                followed = self.follow(writer, name, position).await?;
            } else {
                // So that the connection is not silent.
                writer.index().await?;
            }
            must_build |= self.rebuild.swap(false, Ordering::Relaxed);
            if builds.is_empty() && (take(&mut must_build) || followed.is_none()) {
                builds.spawn(Arc::clone(self).build());
            }
            tokio::select! {
                Some(built) = builds.join_next() => {
                    let (name, position) = built.map_err(EngineError::from)??;
                    writer.note(&name, &position).await?;
                    followed = Some((name.clone(), position));
                    self.delete_all_but(Some(&name)).await?;
                }
                () = self.woken.notified() => {}
                () = sleep(self.poll.min(LONGEST_POLL)) => {}
            }
        }
    }

    /// Brings the index to where the database is; `None` where the catalogue as a whole has changed, or there is no index any more.
    async fn follow(
        &self,
        writer: &mut IndexWriter,
        name: String,
        position: ChangePosition,
    ) -> Result<Option<Built>, SearchError> {
        let Changes::Products(now, changed) = writer.changes_since(&position).await? else {
            info!("the catalogue as a whole has changed: the search index is rebuilt");
            return Ok(None);
        };
        if now != position {
            match self.write(&name, changed, now.sum(), true).await {
                // Somebody deleted it.
                Err(EngineError::NotBuilt) => return Ok(None),
                written => written?,
            }
            writer.note(&name, &now).await?;
            metrics::count_commit();
        }
        Ok(Some((name, now)))
    }

    /// Stores products, or removes those that are `None`, as they were at a position. What the index has of a later one stays.
    pub(crate) async fn write(
        &self,
        index: &str,
        changes: Vec<(u64, Option<IndexRow>)>,
        version: u64,
        refresh: bool,
    ) -> Result<(), EngineError> {
        let analysis = self.analysis;
        let bulks = spawn_blocking(move || bulks(analysis, &changes, version)).await?;
        for bulk in bulks {
            self.client.bulk(index, bulk, refresh).await?;
        }
        Ok(())
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
        loop {
            let last = rows.last().map(|row| row.product.id);
            products += rows.len();
            // The next ones are read beside the write of these: not before this position.
            let next_read_at = position.sum();
            if let Some(last) = last {
                let stored = rows.into_iter().map(|row| (row.product.id, Some(row))).collect();
                let (written, next) = tokio::join!(
                    self.write(&name, stored, read_at, false),
                    self.catalog.index_rows(last, CHUNK)
                );
                written?;
                rows = next?;
            } else {
                rows = Vec::new();
            }
            let Changes::Products(now, changed) = self.catalog.changes_since(&position).await? else {
                return Err(EngineError::NotBuilt.into());
            };
            self.write(&name, changed, now.sum(), false).await?;
            (position, read_at) = (now, next_read_at);
            if last.is_none() {
                break;
            }
        }
        self.client.refresh(&name).await?;
        metrics::show_build(started.elapsed());
        info!(products, seconds = started.elapsed().as_secs_f64(), "the search index is built");
        Ok((name, position))
    }

    pub(crate) async fn create(&self, name: &str) -> Result<(), EngineError> {
        self.client.create(name, &definition(name, self.shards)).await
    }

    async fn delete_all_but(&self, name: Option<&str>) -> Result<(), EngineError> {
        for index in self.client.indices(&format!("{}-v", self.prefix)).await? {
            if Some(index.as_str()) != name && self.version(&index).is_some() {
                self.client.delete(&index).await?;
            }
        }
        Ok(())
    }

    /// How the names of indices begin that have our documents.
    fn beginning(&self) -> String {
        format!("{}-v{SCHEMA}-{}-", self.prefix, self.analysis.language)
    }
}
