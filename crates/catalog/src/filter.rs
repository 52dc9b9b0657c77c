//! What a list is filtered by: values that are within their bounds, or do not exist.

use crate::{InvalidText, Price, normalized, words::words};

/// A category as products have it: without spaces around, 1 to 64 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Category(String);

/// Why a text is no [`Category`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCategory {
    /// Nothing but spaces.
    #[error("must not be empty")]
    Empty,
    /// Longer than the column, or a text that is never stored.
    #[error(transparent)]
    Text(#[from] InvalidText),
}

impl Category {
    /// The column's length in characters.
    pub const MAX_LENGTH: usize = 64;

    /// A category of this name, normalised as stored text is.
    pub fn new(name: &str) -> Result<Category, InvalidCategory> {
        let name = normalized(name, Category::MAX_LENGTH)?;
        if name.is_empty() { Err(InvalidCategory::Empty) } else { Ok(Category(name)) }
    }

    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A range of prices, both ends included. By default all prices are in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PriceRange {
    lowest: Price,
    highest: Price,
}

/// The lowest price of a range is above its highest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the lowest price is above the highest")]
pub struct EmptyPriceRange;

impl PriceRange {
    /// From one price to another; without one, to the end.
    pub fn new(lowest: Option<Price>, highest: Option<Price>) -> Result<PriceRange, EmptyPriceRange> {
        let range =
            PriceRange { lowest: lowest.unwrap_or(Price::MIN), highest: highest.unwrap_or(Price::MAX) };
        if range.lowest <= range.highest { Ok(range) } else { Err(EmptyPriceRange) }
    }

    /// Its lowest price.
    #[must_use]
    pub fn lowest(self) -> Price {
        self.lowest
    }

    /// Its highest price.
    #[must_use]
    pub fn highest(self) -> Price {
        self.highest
    }

    pub(crate) fn is_all(self) -> bool {
        self == PriceRange::default()
    }
}

impl Default for PriceRange {
    fn default() -> PriceRange {
        PriceRange { lowest: Price::MIN, highest: Price::MAX }
    }
}

/// The words of a search: in lower case, sorted, each once. Neither order nor repetition changes an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words(Vec<String>);

/// Why a text is no search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWords {
    /// Longer than [`Words::MAX_LENGTH`].
    #[error("must have at most {} characters", Words::MAX_LENGTH)]
    TooLong,
    /// No word in it.
    #[error("must have at least one letter or digit")]
    None,
    /// More than [`Words::MAX`].
    #[error("must have at most {} different words", Words::MAX)]
    TooMany,
}

impl Words {
    /// A search's length in characters.
    pub const MAX_LENGTH: usize = 200;
    /// Different words of a search: each costs the database a lookup.
    pub const MAX: usize = 16;

    /// The words of a text.
    pub fn new(text: &str) -> Result<Words, InvalidWords> {
        if text.chars().count() > Words::MAX_LENGTH {
            return Err(InvalidWords::TooLong);
        }
        let mut found: Vec<String> = words(text).collect();
        found.sort();
        found.dedup();
        // Lower case can be longer (İ becomes two characters), and the words have to be a valid text as well.
        if found.join(" ").chars().count() > Words::MAX_LENGTH {
            return Err(InvalidWords::TooLong);
        }
        match found.len() {
            0 => Err(InvalidWords::None),
            count if count > Words::MAX => Err(InvalidWords::TooMany),
            _ => Ok(Words(found)),
        }
    }

    /// Each of them; none where nothing is searched for.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}
