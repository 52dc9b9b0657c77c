//! Names of places, farms and brands, most of which are rare.

use fake::Fake as _;
use fake::faker::name::{de_de, en, fr_fr, it_it, nl_nl, pt_br};
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{Rng, RngExt as _};

use super::vocabulary::name_parts;

/// How many names each list holds; the rarest of them occurs in a handful of rows in a million.
pub(super) const COUNT: usize = 8_000;

/// Every list starts with its most common name.
pub(super) struct Makers {
    /// "Brookfield"
    pub places: Vec<String>,
    /// "Alpine Meadow", "Ashford Dairy", "Müller"
    pub farms: Vec<String>,
    /// "Kelvano"
    pub brands: Vec<String>,
}

impl Makers {
    pub(super) fn new(rng: &mut impl Rng) -> anyhow::Result<Self> {
        let parts = name_parts()?;
        let place =
            |rng: &mut _| format!("{}{}", word(&parts.place_starts, rng), word(&parts.place_ends, rng));
        let places = distinct(rng, place);
        let farms = distinct(rng, |rng| match rng.random_range(0..10) {
            0..4 => format!("{} {}", word(&parts.scenes, rng), word(&parts.lands, rng)),
            4..8 => format!("{} {}", place(rng), word(&parts.businesses, rng)),
            _ => surname(rng).to_owned(),
        });
        let brands = distinct(rng, |rng| {
            let middle = if rng.random_ratio(2, 3) { word(&parts.brand_middles, rng) } else { "" };
            format!("{}{middle}{}", word(&parts.brand_starts, rng), word(&parts.brand_ends, rng))
        });
        Ok(Self { places, farms, brands })
    }
}

/// Somebody's full name, in one of six languages.
pub(super) fn person(rng: &mut impl Rng) -> String {
    let first: &str = match rng.random_range(0..10) {
        0..5 => en::FirstName().fake_with_rng(rng),
        5..7 => de_de::FirstName().fake_with_rng(rng),
        7 => fr_fr::FirstName().fake_with_rng(rng),
        8 => it_it::FirstName().fake_with_rng(rng),
        _ => pt_br::FirstName().fake_with_rng(rng),
    };
    format!("{first} {}", surname(rng))
}

fn surname(rng: &mut impl Rng) -> &'static str {
    let name: &str = match rng.random_range(0..10) {
        0..4 => en::LastName().fake_with_rng(rng),
        4..6 => de_de::LastName().fake_with_rng(rng),
        6 => fr_fr::LastName().fake_with_rng(rng),
        7 => it_it::LastName().fake_with_rng(rng),
        8 => nl_nl::LastName().fake_with_rng(rng),
        _ => pt_br::LastName().fake_with_rng(rng),
    };
    // One of them ends with a tab.
    name.trim()
}

fn word<'a>(list: &'a [String], rng: &mut impl Rng) -> &'a str {
    list.choose(rng).map_or("", String::as_str)
}

/// `COUNT` different names, as far as 16 tries for each find them, in random order.
fn distinct<R: Rng>(rng: &mut R, mut name: impl FnMut(&mut R) -> String) -> Vec<String> {
    let mut names: Vec<String> = (0..COUNT * 16).map(|_| name(rng)).collect();
    names.sort_unstable();
    names.dedup();
    names.shuffle(rng);
    names.truncate(COUNT);
    names
}
