use chrono::{DateTime, Utc};
use rand::{Rng, RngExt as _};

const SECOND: i64 = 1_000;
const DAY: i64 = 24 * 3_600 * SECOND;
/// 2016-01-01T00:00:00Z in milliseconds. Fixed, since a row must not depend on the day it is made.
const EPOCH: i64 = 1_451_606_400_000;
/// All rows are created within this time; the first million takes half of it.
const SPAN: i64 = 10 * 365 * DAY;
/// Rows whose times are equal when they came in one import.
const IMPORT: u64 = 64;

/// When a product was created, and when it last changed: both rise with `id`, roughly.
pub(super) fn times(id: u64, rng: &mut impl Rng) -> (DateTime<Utc>, DateTime<Utc>) {
    let created = match rng.random_range(0..100) {
        // Entered by hand, up to two hours early or late.
        0..75 => regular(id) + rng.random_range(-2 * 3_600 * SECOND..2 * 3_600 * SECOND),
        // Came with others in one import: a tie.
        75..95 => regular(id - id % IMPORT) / SECOND * SECOND,
        // Carried over late from an older catalogue.
        _ => regular(id) - rng.random_range(0..90 * DAY),
    };
    let updated = match rng.random_range(0..100) {
        0..65 => created,
        65..90 => created + rng.random_range(0..30 * DAY),
        _ => created + rng.random_range(0..300 * DAY),
    };
    (at(created), at(updated))
}

/// The catalogue grows ever faster, so that any number of rows fits into the span.
fn regular(id: u64) -> i64 {
    let id = i64::try_from(id).unwrap_or(i64::MAX).min(1_000_000_000);
    EPOCH + 120 * DAY + SPAN / (id + 1_000_000) * id + SPAN % (id + 1_000_000) * id / (id + 1_000_000)
}

fn at(milliseconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(milliseconds).unwrap_or_default()
}
