//! Draws the [`Sample`] of prices, behind the queries that make use of it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use sqlx::{Connection as _, MySqlConnection, Row as _};
use tokio::{sync::Notify, time::timeout};

use crate::{
    explained::expected_rows,
    plan,
    pool::CLOSE_TIMEOUT,
    price_range::sample::{Drawn, Sample},
    reader::Database,
    statement::Kind,
};

/// Ids that are drawn. A look at each costs the database some 40 ms in all.
const SIZE: u32 = 16_384;
/// In one statement: it has the deadline of a list, even where all are read from disk.
const BATCH: u32 = 128;
/// What was drawn by then, or until the database failed, is the sample: if it is [enough](FEWEST).
const LONGEST: Duration = Duration::from_secs(5);
/// Where there are so many times more ids than products, a few are far above all others.
const SPARSE: u64 = 2;
/// Fewer ids than this, or fewer draws that found a product, are no sample.
const FEWEST: u64 = 1_000;
/// How long a sample stands for what the catalogue has. Prices do not move as fast, and a sample that is wrong makes lists
/// slower and nothing else.
const RENEWED_AFTER: Duration = Duration::from_mins(5);
/// When to try again where there was none: the database is away, or nothing has been seeded yet; or the last was far off. No draw
/// takes longer.
const TRIED_AFTER: Duration = Duration::from_secs(10);
/// How long it is made use of. Where nobody asks for a price range for long, it ends up older than it should be.
const GOOD_FOR: Duration = Duration::from_mins(10);

/// The sample of one catalogue. Clones share it.
#[derive(Clone)]
pub(crate) struct Sampler {
    database: Arc<Database>,
    state: Arc<Mutex<State>>,
    due: Arc<Notify>,
}

#[derive(Default)]
struct State {
    sample: Option<(Instant, Arc<Sample>)>,
    /// When to draw the next one.
    next: Option<Instant>,
    /// One was forgotten, and none has lasted until it was replaced since.
    was_wrong: bool,
}

impl State {
    fn keep(&mut self, sample: Sample, now: Instant) {
        self.was_wrong = self.was_wrong && self.sample.is_none();
        self.sample = Some((now, Arc::new(sample)));
        self.next = Some(now + RENEWED_AFTER);
    }

    fn forget(&mut self, wrong: &Arc<Sample>, now: Instant) {
        if self.sample.take_if(|(_, sample)| Arc::ptr_eq(sample, wrong)).is_some() {
            // The database may have been slow for a while. Or there is much that no sample sees.
            let pause = if self.was_wrong { RENEWED_AFTER } else { TRIED_AFTER };
            self.next = Some(now + pause);
            self.was_wrong = true;
        }
    }
}

impl Sampler {
    /// Draws nothing yet.
    pub(crate) fn new(database: &Arc<Database>) -> Sampler {
        Sampler { database: Arc::clone(database), state: Arc::default(), due: Arc::default() }
    }

    /// What was drawn last, if anything was. When it is time for another, this has [`run`](Self::run) draw it.
    pub(crate) fn sample(&self) -> Option<Arc<Sample>> {
        let mut state = self.lock();
        let now = Instant::now();
        if state.next.is_none_or(|next| next <= now) {
            state.next = Some(now + TRIED_AFTER);
            self.due.notify_one();
        }
        let (drawn, sample) = state.sample.as_ref()?;
        (drawn.elapsed() < GOOD_FOR).then(|| Arc::clone(sample))
    }

    /// Draws a sample whenever one is due, without end.
    pub(crate) async fn run(self) {
        loop {
            self.due.notified().await;
            match timeout(TRIED_AFTER, self.renew()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "no sample of prices"),
                Err(_) => tracing::debug!("a sample of prices took too long"),
            }
        }
    }

    /// Draws another one. It is of no use if one is forgotten meanwhile: what made that one wrong may go on.
    pub(crate) async fn renew(&self) -> Result<(), sqlx::Error> {
        let next = self.lock().next;
        if let Some(sample) = draw(&self.database).await? {
            let mut state = self.lock();
            if state.next == next {
                state.keep(sample, Instant::now());
            }
        }
        Ok(())
    }

    /// Makes no more use of this sample, which was far off. Another one is drawn in a while.
    pub(crate) fn forget(&self, wrong: &Arc<Sample>) {
        self.lock().forget(wrong, Instant::now());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The last id to draw. Most ids follow one another from the first on. But whoever sends events chooses ids, and one that is far
/// above all others would leave a gap in which nothing is found.
fn densest(first: u64, products: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate of a number of rows"
    )]
    let products = products as u64;
    first.saturating_add(products.saturating_mul(SPARSE))
}

/// On a connection of its own: under load it would wait dozens of times in the admission queue, and without a sample price ranges
/// take longer.
async fn draw(database: &Database) -> Result<Option<Sample>, sqlx::Error> {
    let mut connection = database.connect().await?;
    let sample = draw_by(database, &mut connection).await;
    // It may stand still by now.
    let _ = timeout(CLOSE_TIMEOUT, connection.close()).await;
    sample
}

async fn draw_by(
    database: &Database,
    connection: &mut MySqlConnection,
) -> Result<Option<Sample>, sqlx::Error> {
    let started = Instant::now();
    let ends = database.answer(&plan::sample::ends(), connection).await?;
    let end = |nth| ends.first().map(|row| row.try_get::<Option<u64>, _>(nth)).transpose();
    let (Some(Some(first)), Some(Some(last))) = (end(0)?, end(1)?) else { return Ok(None) };
    let explained = database.answer(&plan::sample::count(), connection).await?;
    let last = last.min(densest(first, expected_rows(&explained, 0)?));
    let ids = (last - first).saturating_add(1);
    if ids < FEWEST {
        return Ok(None);
    }
    let (mut drawn, mut asked) = (Vec::new(), 0_u32);
    while asked < SIZE && started.elapsed() < LONGEST {
        let batch: Vec<u64> = (0..BATCH).map(|_| rand::random_range(first..=last)).collect();
        let Ok(rows) = database.answer(&plan::sample::products(&batch), connection).await else { break };
        asked += BATCH;
        for row in rows {
            drawn.push(Drawn {
                id: row.try_get(0)?,
                category: row.try_get(1)?,
                price: row.try_get(2)?,
                created_at: row.try_get(3)?,
                name: row.try_get(4)?,
            });
        }
    }
    database.record(Kind::Sample, started.elapsed());
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let scale = ids as f64 / f64::from(asked);
    Ok((drawn.len() as u64 >= FEWEST).then(|| Sample::new(drawn, scale)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_that_was_wrong_is_replaced_soon_and_the_next_that_is_wrong_is_not() {
        let (mut state, start) = (State::default(), Instant::now());
        let draw = |state: &mut State, now| {
            state.keep(Sample::new(Vec::new(), 1.0), now);
            state.sample.clone().map(|(_, sample)| sample).unwrap()
        };
        let first = draw(&mut state, start);
        state.forget(&first, start);
        assert_eq!(state.next, Some(start + TRIED_AFTER));
        // Others who were using it forget it too.
        state.forget(&first, start + TRIED_AFTER);
        assert_eq!(state.next, Some(start + TRIED_AFTER));
        let second = draw(&mut state, start);
        state.forget(&first, start);
        assert!(state.sample.is_some());
        state.forget(&second, start);
        assert_eq!(state.next, Some(start + RENEWED_AFTER));
        // One that was good until it was replaced makes up for it.
        draw(&mut state, start);
        let fourth = draw(&mut state, start);
        state.forget(&fourth, start);
        assert_eq!(state.next, Some(start + TRIED_AFTER));
    }
}
