//! What the catalogue sells: categories, their kinds of goods, and the words that describe them.
//!
//! Lists are ordered by how common an entry is; the generator picks by rank.

mod food;
mod home;
mod outdoor;
mod voices;

pub(crate) use self::voices::Voice;

/// A category and its share of the catalogue.
pub(crate) struct Category {
    /// As stored and filtered by.
    pub slug: &'static str,
    /// Weight against the other categories.
    pub share: u32,
    pub ranges: &'static [Range],
}

/// Goods of one category that come in the same sizes and are described by the same words.
pub(crate) struct Range {
    /// What it is, and the median price in cents of its middle size.
    pub kinds: &'static [(&'static str, u32)],
    /// Flavours, breeds, materials or colours.
    pub variants: &'static [&'static str],
    /// Pack or clothing sizes, each with its price in percent of the middle one.
    pub sizes: &'static [(&'static str, u32)],
    pub voice: &'static Voice,
    pub trade: Trade,
}

/// Who stands behind the goods, which decides how the name is put together.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trade {
    /// "Alpine Meadow Smoked Goat Cheese, 250 g"
    Farm,
    /// "Heavy-Duty Rubber Garden Hose 20m"
    Workshop,
}

/// All categories, the largest first.
pub(crate) fn categories() -> impl Iterator<Item = &'static Category> {
    food::CATEGORIES.iter().chain(home::CATEGORIES).chain(outdoor::CATEGORIES)
}
