//! Draws the [`Sample`] of prices, behind the queries that make use of it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use sqlx::{Connection as _, Row as _};
use tokio::time::timeout;

use crate::{
    explained::expected_rows,
    plan,
    pool::FAREWELL,
    price_range::sample::{Drawn, Sample},
    reader::Database,
    statement::Kind,
};

/// Ids that are drawn. A look at each costs the database some 40 ms in all.
const SIZE: u64 = 16_384;
/// In one statement: it has the deadline of a list, even where all are read from disk.
const BATCH: usize = 128;
/// Where there are so many times more ids than products, a few are far above all others.
const SPARSE: u64 = 2;
/// Fewer products than this are no sample.
const FEWEST: usize = 1_000;
/// How long a sample stands for what the catalogue has. Prices do not move as fast, and a sample that is wrong makes lists
/// slower and nothing else.
const RENEWED_AFTER: Duration = Duration::from_mins(5);
/// When to try again where there was none: the database is away, or nothing has been seeded yet. No draw takes longer, and a
/// sample that is in doubt is used for so long at the least.
const TRIED_AFTER: Duration = Duration::from_secs(10);
/// How long it is made use of. Where nobody asks for a price range for long, it ends up older than it should be.
const GOOD_FOR: Duration = Duration::from_mins(10);

/// The sample of one catalogue. Clones share it.
#[derive(Clone)]
pub(crate) struct Sampler {
    database: Arc<Database>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    sample: Option<(Instant, Arc<Sample>)>,
    /// When to draw the next one.
    next: Option<Instant>,
}

impl State {
    fn doubt(&mut self) {
        if let Some((drawn, _)) = self.sample {
            self.next = self.next.min(Some(drawn + TRIED_AFTER));
        }
    }
}

impl Sampler {
    /// Draws nothing yet.
    pub(crate) fn new(database: &Arc<Database>) -> Sampler {
        Sampler { database: Arc::clone(database), state: Arc::default() }
    }

    /// What was drawn last, if anything was. When it is time for another, whoever asks has it drawn and does not wait for it.
    /// Must be called in a tokio runtime.
    pub(crate) fn sample(&self) -> Option<Arc<Sample>> {
        let mut state = self.lock();
        let now = Instant::now();
        if state.next.is_none_or(|next| next <= now) {
            state.next = Some(now + TRIED_AFTER);
            let sampler = self.clone();
            tokio::spawn(async move {
                match timeout(TRIED_AFTER, sampler.renew()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::debug!(%error, "no sample of prices"),
                    Err(_) => tracing::debug!("a sample of prices took too long"),
                }
            });
        }
        let (drawn, sample) = state.sample.as_ref()?;
        (drawn.elapsed() < GOOD_FOR).then(|| Arc::clone(sample))
    }

    /// Draws another one.
    pub(crate) async fn renew(&self) -> Result<(), sqlx::Error> {
        if let Some(sample) = draw(&self.database).await? {
            let (drawn, mut state) = (Instant::now(), self.lock());
            state.sample = Some((drawn, Arc::new(sample)));
            state.next = Some(drawn + RENEWED_AFTER);
        }
        Ok(())
    }

    /// What the sample said was far off, or the database was slow: another one is drawn soon.
    pub(crate) fn doubt(&self) {
        self.lock().doubt();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The last id to draw. The ids of most products follow one another, from the first on; but whoever sends events chooses the ids
/// of what he adds, and one of 2^62 would leave nothing to be found between.
fn densest(first: u64, products: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate of a number of rows"
    )]
    let products = products as u64;
    first.saturating_add(products.saturating_mul(SPARSE))
}

/// On a connection of its own: under load it would have to wait for dozens of turns, and until there is a sample, price ranges
/// take longer.
async fn draw(database: &Database) -> Result<Option<Sample>, sqlx::Error> {
    let started = Instant::now();
    let mut connection = database.connect().await?;
    let ends = database.answer(&plan::sample::ends(), &mut connection).await?;
    let end = |nth| ends.first().map(|row| row.try_get::<Option<u64>, _>(nth)).transpose();
    let (Some(Some(first)), Some(Some(last))) = (end(0)?, end(1)?) else { return Ok(None) };
    let explained = database.answer(&plan::sample::count(), &mut connection).await?;
    let last = last.min(densest(first, expected_rows(&explained, 0)?));
    let mut drawn = Vec::new();
    for _ in 0..SIZE / BATCH as u64 {
        let ids: Vec<u64> = (0..BATCH).map(|_| rand::random_range(first..=last)).collect();
        for row in database.answer(&plan::sample::products(&ids), &mut connection).await? {
            drawn.push(Drawn {
                id: row.try_get(0)?,
                category: row.try_get(1)?,
                price: row.try_get(2)?,
                created_at: row.try_get(3)?,
                name: row.try_get(4)?,
            });
        }
    }
    // It may stand still by now.
    let _ = timeout(FAREWELL, connection.close()).await;
    database.record(Kind::Sample, started.elapsed());
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let scale = (last - first) as f64 / SIZE as f64;
    Ok((drawn.len() >= FEWEST).then(|| Sample::new(drawn, scale)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_in_doubt_is_replaced_soon_and_not_all_the_time() {
        let next = |age: u64, left: u64| {
            let now = Instant::now() + Duration::from_hours(1);
            let drawn = now - Duration::from_secs(age);
            let sample = Some((drawn, Arc::new(Sample::new(Vec::new(), 1.0))));
            let mut state = State { sample, next: Some(now + Duration::from_secs(left)) };
            state.doubt();
            state.next.map(|next| next.saturating_duration_since(now).as_secs())
        };
        assert_eq!(next(60, 240), Some(0));
        assert_eq!(next(1, 299), Some(9));
        // One is being drawn.
        assert_eq!(next(5, 2), Some(2));
        let mut none = State::default();
        none.doubt();
        assert_eq!(none.next, None);
    }
}
