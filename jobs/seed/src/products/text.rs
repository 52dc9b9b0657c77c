//! How a product is named and described.

use rand::{Rng, RngExt as _};

use super::makers::{self, Makers};
use super::rank::Ranks;
use super::vocabulary::{Range, Trade};

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
        let mut name = String::with_capacity(64);
        if rng.random_ratio(maker, 100) {
            name.push_str(self.maker(rng));
            name.push(' ');
        }
        for (list, percent) in [(&self.range.phrases.qualities, quality), (&self.range.variants, variant)] {
            if rng.random_ratio(percent, 100) {
                name.push_str(self.word(list, rng));
                name.push(' ');
            }
        }
        name.push_str(self.kind);
        name.push_str(before_size);
        name.push_str(self.size);
        name
    }

    /// One or two sentences.
    pub(super) fn description(&self, rng: &mut impl Rng) -> String {
        let mut text = String::with_capacity(160);
        text.push_str(self.word(&self.range.phrases.qualities, rng));
        text.push(' ');
        push_lower_case(&mut text, self.kind);
        match rng.random_range(0..100) {
            0..30 => {
                text.push_str(" from ");
                text.push_str(self.word(&self.makers.places, rng));
            }
            30..40 => {
                text.push_str(match self.range.trade {
                    Trade::Farm => " selected by ",
                    Trade::Workshop => " designed by ",
                });
                text.push_str(&makers::person(rng));
            }
            40..50 => {
                text.push_str(" by ");
                text.push_str(self.maker(rng));
            }
            _ => {}
        }
        text.push_str(", ");
        text.push_str(self.word(&self.range.phrases.features, rng));
        text.push('.');
        if rng.random_ratio(9, 10) {
            text.push(' ');
            text.push_str(self.word(&self.range.phrases.uses, rng));
        }
        text
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
fn push_lower_case(text: &mut String, words: &str) {
    for (n, word) in words.split(' ').enumerate() {
        if n > 0 {
            text.push(' ');
        }
        if word.chars().nth(1).is_some_and(char::is_uppercase) {
            text.push_str(word);
        } else {
            text.extend(word.chars().flat_map(char::to_lowercase));
        }
    }
}
