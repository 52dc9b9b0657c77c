//! Transactions that write, and the statements that events and batches share.

use std::time::{Duration, Instant};

use backon::{BackoffBuilder as _, ExponentialBuilder};
use sqlx::{Connection as _, MySql, MySqlConnection, QueryBuilder};
use tokio::time::{sleep, timeout};
use tracing::{Instrument as _, Span, debug};

use crate::{
    Catalog, Draft, Error,
    error::{is_duplicate_key, is_rolled_back, is_transient_write, record},
    reader::record_duration,
    statement::Kind,
};

/// Deadlocks are rare, and one of two that meet always gets through.
const RETRIES: usize = 7;
/// The wait before the second attempt, with jitter up to twice as long; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(3);

/// The work of one transaction. It decides by what it reads under its own locks, so it may run again from its start.
pub(crate) trait Transact: Sync {
    /// What came of it.
    type Outcome: Send;
    /// What its metric and its span say.
    const KIND: Kind;

    /// Whether it finds that it has taken effect before. Then it may also run again where the answer to its COMMIT was lost.
    fn is_idempotent(&self) -> bool;

    /// Runs its statements, in a transaction that has begun.
    fn run(
        &self,
        connection: &mut MySqlConnection,
    ) -> impl Future<Output = Result<End<Self::Outcome>, sqlx::Error>> + Send;
}

/// How a transaction ends.
pub(crate) enum End<T> {
    Commit(T),
    RollBack(T),
}

impl Catalog {
    /// Runs a transaction until it got through, or the deadline is over. Whether it has taken effect is unknown after an error.
    pub(crate) async fn transact<T: Transact>(&self, work: &T) -> Result<T::Outcome, Error> {
        let (started, span) = (Instant::now(), T::KIND.span());
        let working = self.transact_until_done(work).instrument(span.clone());
        // A connection cut off in the middle of a transaction is not used again.
        let outcome = timeout(self.write_database.pool().deadline(), working).await;
        let outcome = outcome.unwrap_or(Err(Error::Deadline));
        record_duration(T::KIND, started.elapsed());
        if matches!(outcome, Err(Error::Deadline)) {
            span.record("otel.status_code", "ERROR").record("error.type", "deadline");
        }
        outcome
    }

    async fn transact_until_done<T: Transact>(&self, work: &T) -> Result<T::Outcome, Error> {
        let mut writer = self.write_database.reader().await?;
        let pauses = ExponentialBuilder::new().with_jitter().with_min_delay(FIRST_PAUSE);
        let mut pauses = pauses.with_max_times(RETRIES).build();
        loop {
            let mut has_ended = false;
            let error = match attempt(writer.begin()?, work, &mut has_ended).await {
                Ok(outcome) => {
                    writer.end();
                    return Ok(outcome);
                }
                Err(error) => error,
            };
            // An error of the COMMIT leaves open whether there was one.
            let may_repeat = !has_ended || work.is_idempotent() || is_rolled_back(&error);
            let Some(pause) = pauses.next().filter(|_| may_repeat && may_pass(&error)) else {
                record(&error, &Span::current());
                return Err(error.into());
            };
            debug!(%error, statement = T::KIND.label(), "running the transaction again");
            sleep(pause).await;
            writer.replace_broken().await?;
        }
    }
}

/// Whether the next attempt may get through. An id that the table was about to give may have been taken by a write that names it.
fn may_pass(error: &sqlx::Error) -> bool {
    is_transient_write(error) || is_duplicate_key(error)
}

async fn attempt<T: Transact>(
    connection: &mut MySqlConnection,
    work: &T,
    has_ended: &mut bool,
) -> Result<T::Outcome, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    match work.run(&mut transaction).await? {
        End::Commit(outcome) => {
            *has_ended = true;
            transaction.commit().await?;
            Ok(outcome)
        }
        End::RollBack(outcome) => {
            transaction.rollback().await?;
            Ok(outcome)
        }
    }
}

/// Counts this transaction, for whoever asks for the [changes since](Catalog::changes_since). Connections share the slots, which
/// are many, so that few wait for each other. Its row is locked until the end, so it comes late: other connections may wait for it.
/// Who stores the version of a product takes the number from the session, as `LAST_INSERT_ID()`.
pub(crate) async fn raise_counter(connection: &mut MySqlConnection) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO change_counters (slot, changes) VALUES (1 + MOD(CONNECTION_ID(), 64), LAST_INSERT_ID(1)) \
         ON DUPLICATE KEY UPDATE changes = LAST_INSERT_ID(changes + 1)",
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Stores products with ids of their own, whether or not they are there.
pub(crate) async fn store_products(
    connection: &mut MySqlConnection,
    products: &[(u64, &Draft)],
) -> Result<(), sqlx::Error> {
    for products in parts(products) {
        let mut insert =
            QueryBuilder::<MySql>::new("INSERT INTO products (id, name, description, category, price) ");
        insert.push_values(products, |mut row, (id, draft)| {
            row.push_bind(id);
            row.push_bind(&draft.name).push_bind(&draft.description).push_bind(&draft.category);
            row.push_bind(draft.price);
        });
        insert.push(
            " ON DUPLICATE KEY UPDATE name = VALUES(name), description = VALUES(description), \
             category = VALUES(category), price = VALUES(price)",
        );
        insert.build().execute(&mut *connection).await?;
    }
    Ok(())
}

/// All, in parts of a few lengths, the powers of two: so few statements are prepared.
pub(crate) fn parts<T>(mut all: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let (part, rest) = all.split_at(1 << all.len().checked_ilog2()?);
        all = rest;
        Some(part)
    })
}
