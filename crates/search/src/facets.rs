//! What facets show.

use farmlokal_catalog::{Price, PriceRange};

/// How many categories a facet shows.
pub(crate) const CATEGORIES: usize = 100;

/// The ranges of prices: they begin at 0, 10, 20, 50, 100, 200, 500 and so on, each up to the next.
pub(crate) fn price_ranges() -> impl Iterator<Item = PriceRange> {
    let tens = (0..).map(|power| 1_000 * 10_u64.pow(power));
    let beginnings = tens.flat_map(|ten| [ten, 2 * ten, 5 * ten]);
    let beginnings = beginnings.take_while(|cents| *cents <= Price::MAX.cents());
    let beginnings: Vec<u64> = std::iter::once(0).chain(beginnings).collect();
    let ends: Vec<u64> = beginnings.iter().skip(1).map(|next| next - 1).chain([Price::MAX.cents()]).collect();
    beginnings.into_iter().zip(ends).filter_map(|(lowest, highest)| {
        PriceRange::new(Price::from_cents(lowest), Price::from_cents(highest)).ok()
    })
}
