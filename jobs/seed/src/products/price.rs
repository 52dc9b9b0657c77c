use farmlokal_catalog::Price;
use rand::distr::Distribution as _;
use rand::{Rng, RngExt as _};
use rand_distr::LogNormal;

use super::vocabulary::Trade;

/// A log-normal draw around the median price of the kind's middle size, with an ending that shops use.
pub(super) fn price(median_cents: u32, size_percent: u32, trade: Trade, rng: &mut impl Rng) -> Price {
    let sigma = match trade {
        Trade::Farm => 0.3,
        Trade::Workshop => 0.55,
    };
    let spread = LogNormal::new(0.0, sigma).map_or(1.0, |spread| spread.sample(rng));
    let cents = f64::from(median_cents) * f64::from(size_percent) / 100.0 * spread;
    // Positive, and far below 2^53.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let cents = retail(cents as u64, rng.random_range(0..100)).clamp(19, Price::MAX.cents());
    Price::from_cents(cents).unwrap_or(Price::MAX)
}

/// Moves an amount to an ending that shops use; `draw` is a percentage.
fn retail(cents: u64, draw: u32) -> u64 {
    match (cents, draw) {
        (..1_000, 0..70) => cents / 10 * 10 + 9,
        (..1_000, 70..85) => cents / 50 * 50 + 49,
        (..1_000, 85..95) => cents / 10 * 10 + 5,
        (1_000..10_000, 0..60) => cents / 100 * 100 + 99,
        (1_000..10_000, 60..75) => cents / 100 * 100 + 49,
        (1_000..10_000, 75..90) => cents / 100 * 100 + 95,
        (10_000.., 0..50) => cents / 1_000 * 1_000 + 900,
        (10_000.., 50..80) => cents / 1_000 * 1_000 + 999,
        (10_000.., 80..95) => cents / 500 * 500,
        _ => cents,
    }
}
