//! A replica of the database. It answers a read if it has every change that the read must see; else the primary does.
//!
//! A read asks the primary how many transactions have changed the catalogue, and at the same time the replica for the rows and its
//! own number: one statement, one moment. Both servers commit in the order of the primary's binary log. So a replica that has as
//! many changes as the primary has the same ones.

use std::{fmt::Display, time::Duration};

use metrics::{Counter, counter, gauge};
use serde::Serialize;
use sqlx::{Row as _, mysql::MySqlRow};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tracing::{info, warn};

use crate::{
    Catalog, ChangePosition, Error, changes,
    error::{is_deadline, is_out_of_time, out_of_time},
    metrics::{READS, REPLICA_LAG, REPLICA_UP},
    reader::Database,
    statement::{Kind, Statement},
};

/// How often both servers are looked at. A replica without a change that the primary had at the look before is not used.
const PERIOD: Duration = Duration::from_secs(1);
/// MySQL commits in the order of the binary log unless one of its settings is OFF. MariaDB has none of them, and does so in any
/// mode within a replication domain.
const AT_PRIMARY: &str = "'binlog_order_commits'";
const AT_REPLICA: &str =
    "'binlog_order_commits', 'replica_preserve_commit_order', 'slave_preserve_commit_order'";

/// Whether reads go to the replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ReplicaState {
    /// They do.
    Up,
    /// It is more than a second behind.
    Behind,
    /// It refuses, does not answer, has changes that the primary has not, or may commit in another order.
    Down,
}

pub(crate) struct Replica {
    /// Its pool's deadline is for a whole read.
    pub(crate) database: Database,
    /// A read takes no longer, at the primary too.
    pub(crate) patience: Duration,
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
                let fetch = async { Ok(self.fetch(statement).await) };
                let (read, needed) = tokio::try_join!(fetch, primary.position())?;
                match read {
                    Ok((rows, Some(position))) if position >= needed => {
                        reads("replica", "current").increment(1);
                        return Ok(rows);
                    }
                    Ok((_, Some(_))) => "behind",
                    // The position comes as a column of the rows. Without a row nothing tells how new the answer is.
                    Ok((_, None)) => "empty",
                    Err(sqlx::Error::PoolTimedOut) => "busy",
                    // The next look tells whether it was this read alone.
                    Err(error) if is_deadline(&error) || is_out_of_time(&error) => "late",
                    Err(error) => {
                        // Later reads do not ask it before the next look.
                        self.show(ReplicaState::Down, Some(&error));
                        "failed"
                    }
                }
            }
            _ => "unused",
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
        // Series that alerts are about are there from the start.
        let _ = (reads("replica", "current"), reads("primary", "behind"));
        gauge!(REPLICA_UP).set(0.0);
        // What both had a second ago.
        let mut before: Option<(ChangePosition, ChangePosition)> = None;
        loop {
            let mut lag = None;
            // Not for long: it keeps the health check from asking the primary meanwhile.
            let newest = timeout(PERIOD / 2, look(&primary.database, "primary", AT_PRIMARY)).await;
            // What is known of the replica holds while the primary does not answer.
            if let Ok(Ok((newest, off))) = newest {
                let found = self.look().await;
                let off = off.or_else(|| found.as_ref().ok()?.1.clone());
                match (&found, off, &before) {
                    (Err(error), ..) => self.show(ReplicaState::Down, Some(error)),
                    (_, Some(off), _) => self.show(ReplicaState::Down, Some(&off)),
                    // The primary sends a change before it commits it, but not a second before.
                    (_, _, Some((had, _))) if had.ahead_of(&newest) > 0 => {
                        self.show(ReplicaState::Down, Some(&"it has changes that the primary has not"));
                    }
                    (Ok((has, _)), _, Some((_, needed))) if needed.ahead_of(has) > 0 => {
                        self.show(ReplicaState::Behind, None);
                    }
                    (_, _, Some(_)) => self.show(ReplicaState::Up, None),
                    (_, _, None) => {}
                }
                before = found.ok().map(|(has, _)| (has, newest));
                lag = before.as_ref().map(|(has, newest)| newest.ahead_of(has));
            }
            #[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
            gauge!(REPLICA_LAG).set(lag.map_or(f64::NAN, |changes| changes as f64));
            sleep(PERIOD).await;
        }
    }

    /// What it has, asked of the server that its name stands for now, by statements that need all that reads need.
    async fn look(&self) -> Result<Look, sqlx::Error> {
        self.database.ping(&changes::found(&[])).await?;
        let found = look(&self.database, "read replica", AT_REPLICA).await;
        self.database.forget().await;
        found
    }

    fn show(&self, state: ReplicaState, cause: Option<&dyn Display>) {
        gauge!(REPLICA_UP).set(f64::from(u8::from(state == ReplicaState::Up)));
        if self.state.send_replace(Some(state)) != Some(state) {
            if state == ReplicaState::Up {
                info!("the read replica is used");
            } else {
                warn!(?state, cause = cause.map(display), "DATABASE_READ_URL: the read replica is not used");
            }
        }
    }
}

/// What a server has, and why it may not commit in the order of the binary log, if it may not.
type Look = (ChangePosition, Option<String>);

async fn look(server: &Database, name: &str, settings: &str) -> Result<Look, sqlx::Error> {
    let text = format!("SHOW GLOBAL VARIABLES WHERE Variable_name IN ({settings}) AND Value = 'OFF'");
    let off = server.ping(&Statement { kind: Kind::Ping, text, values: Vec::new() }).await?;
    let off = off.first().map(|setting| setting.try_get::<String, _>(0)).transpose()?;
    let position = ChangePosition::of_rows(&server.ping(&changes::counters(Kind::Ping)).await?)?;
    Ok((position, off.map(|setting| format!("{setting} is OFF at the {name}"))))
}

/// Counts reads by where they went, and why.
fn reads(from: &'static str, reason: &'static str) -> Counter {
    counter!(READS, "from" => from, "reason" => reason)
}
