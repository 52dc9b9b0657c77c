//! How a product is named and described.

use rand::{Rng, RngExt as _};

use super::makers::{self, Makers};
use super::rank::Ranks;
use super::vocabulary::{Phrases, Range, Trade};

/// What one product's name and description are made of.
pub(super) struct Words<'a> {
    pub range: &'a Range,
    pub kind: &'a str,
    pub size: &'a str,
    pub ranks: &'a Ranks,
    pub makers: &'a Makers,
}

impl Words<'_> {
    /// "Alpine Meadow Smoked Goat Cheese, 250 g" or "Kelvano Heavy-Duty Rubber Garden Hose 20m"
    pub(super) fn name(&self, rng: &mut impl Rng) -> String {
        let (maker, quality, variant, before_size) = match self.range.trade {
            Trade::Farm => (55, 35, 80, ", "),
            Trade::Workshop => (40, 60, 65, " "),
        };
        let mut words = Vec::with_capacity(4);
        if rng.random_ratio(maker, 100) {
            words.push(self.maker(rng));
        }
        for (list, percent) in [(&self.range.phrases.qualities, quality), (&self.range.variants, variant)] {
            if rng.random_ratio(percent, 100) {
                words.push(self.word(list, rng));
            }
        }
        words.push(self.kind);
        [&words.join(" "), before_size, self.size].concat()
    }

    /// One or two sentences.
    pub(super) fn description(&self, rng: &mut impl Rng) -> String {
        let Phrases { qualities, features, uses } = &self.range.phrases;
        let quality = self.word(qualities, rng);
        let origin = match (rng.random_range(0..100), self.range.trade) {
            (0..30, _) => format!(" from {}", self.word(&self.makers.places, rng)),
            (30..40, Trade::Farm) => format!(" selected by {}", makers::person(rng)),
            (30..40, Trade::Workshop) => format!(" designed by {}", makers::person(rng)),
            (40..50, _) => format!(" by {}", self.maker(rng)),
            _ => String::new(),
        };
        let feature = self.word(features, rng);
        let first = format!("{quality} {}{origin}, {feature}.", lower_case(self.kind));
        if rng.random_ratio(9, 10) { [&first, " ", self.word(uses, rng)].concat() } else { first }
    }

    fn word<'w>(&self, list: &'w [String], rng: &mut impl Rng) -> &'w str {
        self.ranks.pick::<String>(list, rng)
    }

    fn maker(&self, rng: &mut impl Rng) -> &str {
        let makers = match self.range.trade {
            Trade::Farm => &self.makers.farms,
            Trade::Workshop => &self.makers.brands,
        };
        self.word(makers, rng)
    }
}

/// "Goat Cheese" as "goat cheese", but "LED Bulb" as "LED bulb".
fn lower_case(words: &str) -> String {
    let lower = |word: &str| {
        let is_acronym = word.chars().nth(1).is_some_and(char::is_uppercase);
        if is_acronym { word.to_owned() } else { word.to_lowercase() }
    };
    words.split(' ').map(lower).collect::<Vec<_>>().join(" ")
}
