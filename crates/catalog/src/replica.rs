//! A replica of the database. It answers a read if it has every change that the read must see; else the primary does.
//!
//! A read asks the primary how many transactions have changed the catalogue, and at the same time the replica for the rows and its
//! own number: one statement, one moment. Both servers commit in the order of the primary's binary log. So a replica that has as
//! many changes as the primary has the same ones.

use std::time::Duration;

use metrics::{Counter, counter, gauge};
use serde::Serialize;
use sqlx::{Row as _, mysql::MySqlRow};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tracing::{info, warn};

use crate::{
    Catalog, Error, changes,
    error::out_of_time,
    metrics::{READS, REPLICA_LAG},
    reader::Database,
    statement::{Kind, Statement},
};

/// How often the replica is looked at. One that is further behind is not used.
const PERIOD: Duration = Duration::from_secs(1);

/// Whether reads go to the replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ReplicaState {
    /// They do.
    Up,
    /// It is more than a second behind.
    Behind,
    /// It refuses, does not answer in time, or its changes are not the primary's.
    Down,
}

pub(crate) struct Replica {
    /// Its pool's deadline is for a whole read.
    pub(crate) database: Database,
    /// `None` until somebody has looked.
    pub(crate) state: watch::Sender<Option<ReplicaState>>,
}

impl Replica {
    /// The rows of a statement, with every change that the primary had when this was called.
    pub(crate) async fn read(
        &self,
        statement: &Statement<'_>,
        primary: &Catalog,
    ) -> Result<Vec<MySqlRow>, Error> {
        let state = *self.state.borrow();
        let reason = match state {
            Some(ReplicaState::Up) => {
                let (read, needed) = tokio::join!(self.fetch(statement), primary.position());
                let needed = needed?;
                match read {
                    Ok((rows, Some(position))) if position >= needed => {
                        reads("replica", "current").increment(1);
                        return Ok(rows);
                    }
                    Ok((_, Some(_))) => "behind",
                    // The position comes as a column of the rows. Without a row nothing tells how new the answer is.
                    Ok((_, None)) => "empty",
                    Err(sqlx::Error::PoolTimedOut) => "busy",
                    Err(error) => {
                        // Only the reads under way wait in vain: later ones do not ask it before the next look.
                        self.show(ReplicaState::Down, Some(&error));
                        "failed"
                    }
                }
            }
            Some(ReplicaState::Behind) => "behind",
            _ => "down",
        };
        reads("primary", reason).increment(1);
        primary.fetch(statement).await
    }

    /// Rows, and the position that is the last column of each.
    async fn fetch(&self, statement: &Statement<'_>) -> Result<(Vec<MySqlRow>, Option<u64>), sqlx::Error> {
        let statement = statement.with_position();
        let reading = async { self.database.reader().await?.fetch(&statement).await };
        let deadline = self.database.pool().deadline();
        let rows = timeout(deadline, reading).await.unwrap_or_else(|_| Err(out_of_time()))?;
        let position = rows.first().map(|row| row.try_get(row.len() - 1)).transpose()?;
        Ok((rows, position))
    }

    /// Looks after the replica, for ever.
    pub(crate) async fn watch(&self, primary: &Catalog) {
        // Series that alerts compare are there from the start.
        let _ = (reads("replica", "current"), reads("primary", "behind"));
        // The positions of both a second ago.
        let mut before = None;
        loop {
            let found = self.look(primary).await;
            // What is known of the replica holds while the primary does not answer.
            if let Ok(newest) = primary.position().await {
                let found = found.map(|position| (position, newest));
                self.judge(&found, before);
                before = found.ok();
            }
            sleep(PERIOD).await;
        }
    }

    /// Both positions now, and a second ago.
    fn judge(&self, now: &Result<(u64, u64), sqlx::Error>, before: Option<(u64, u64)>) {
        #[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
        if let Ok((position, newest)) = now {
            gauge!(REPLICA_LAG).set(newest.saturating_sub(*position) as f64);
        }
        match (now, before) {
            (Err(error), _) => self.show(ReplicaState::Down, Some(error)),
            // The primary sends a change before it commits it, but not a second before.
            (Ok((_, newest)), Some((had, _))) if had > *newest => {
                let cause = "it has changes that the primary has not";
                self.show(ReplicaState::Down, Some(&sqlx::Error::Configuration(cause.into())));
            }
            (Ok((has, _)), Some((_, needed))) if *has < needed => self.show(ReplicaState::Behind, None),
            (Ok(_), Some(_)) => self.show(ReplicaState::Up, None),
            (Ok(_), None) => {}
        }
    }

    /// Its position, by a statement that needs all that reads need.
    async fn look(&self, primary: &Catalog) -> Result<u64, sqlx::Error> {
        // MySQL commits in the order of the binary log unless one of these is OFF. MariaDB has none of them, and does so in any
        // mode within a replication domain.
        let at_replica =
            "'binlog_order_commits', 'replica_preserve_commit_order', 'slave_preserve_commit_order'";
        let of_both = [(&*primary.database, "'binlog_order_commits'"), (&self.database, at_replica)];
        for (server, settings) in of_both {
            let text = format!("SHOW GLOBAL VARIABLES WHERE Variable_name IN ({settings}) AND Value = 'OFF'");
            let off = server.ping(&Statement { kind: Kind::Ping, text, values: Vec::new() }).await?;
            if let Some(setting) = off.first() {
                let cause = format!("{} is OFF", setting.try_get::<String, _>(0)?);
                return Err(sqlx::Error::Configuration(cause.into()));
            }
        }
        let rows = self.database.ping(&changes::found(&[])).await?;
        rows.first().map_or(Ok(0), |row| row.try_get(row.len() - 1))
    }

    fn show(&self, state: ReplicaState, cause: Option<&sqlx::Error>) {
        if self.state.send_replace(Some(state)) != Some(state) {
            if state == ReplicaState::Up {
                info!("the read replica is used");
            } else {
                warn!(?state, cause = cause.map(display), "the read replica is not used");
            }
        }
    }
}

/// Counts reads by where they went, and why.
fn reads(from: &'static str, reason: &'static str) -> Counter {
    counter!(READS, "from" => from, "reason" => reason)
}
