//! What a list is filtered by: values that are within their bounds, or do not exist.

use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory as _};

use crate::{InvalidText, Price, normalized};

/// A category as products have it: [`normalized`], 1 to 64 characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Category(String);

impl Category {
    /// The column's length in characters.
    pub const MAX_LENGTH: usize = 64;

    /// A category of this name, normalised as stored text is.
    pub fn new(name: &str) -> Result<Category, InvalidText> {
        let name = normalized(name, Category::MAX_LENGTH)?;
        if name.is_empty() { Err(InvalidText::Empty) } else { Ok(Category(name)) }
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

    /// Whether every price is in it.
    #[must_use]
    pub fn is_all(self) -> bool {
        self == PriceRange::default()
    }
}

impl Default for PriceRange {
    fn default() -> PriceRange {
        PriceRange { lowest: Price::MIN, highest: Price::MAX }
    }
}

/// The categories of a list: any of them, up to [`Categories::MAX`]; by default all. Sorted, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Categories(Vec<Category>);

/// More categories than [`Categories::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be given at most {} times", Categories::MAX)]
pub struct TooManyCategories;

impl Categories {
    /// How many a list may name.
    pub const MAX: usize = 20;

    /// These, in any order.
    pub fn new(mut categories: Vec<Category>) -> Result<Categories, TooManyCategories> {
        categories.sort();
        categories.dedup();
        if categories.len() > Categories::MAX { Err(TooManyCategories) } else { Ok(Categories(categories)) }
    }

    /// Each of them; none where all categories are listed.
    #[must_use]
    pub fn as_slice(&self) -> &[Category] {
        &self.0
    }
}

/// What is searched for: [`normalized`], in lower case, with single spaces; at most [`SearchText::MAX_LENGTH`] characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchText(String);

/// Why a text is no [`SearchText`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSearch {
    /// Longer than [`SearchText::MAX_LENGTH`].
    #[error("must have at most {} characters", SearchText::MAX_LENGTH)]
    TooLong,
    /// Nothing in it that could be a word.
    #[error("must have at least one letter, digit or symbol")]
    NoWords,
}

impl SearchText {
    /// In characters, as it comes and as it is kept: as many as a name has.
    pub const MAX_LENGTH: usize = 255;

    /// The search for this text.
    pub fn new(text: &str) -> Result<SearchText, InvalidSearch> {
        if text.chars().count() > SearchText::MAX_LENGTH {
            return Err(InvalidSearch::TooLong);
        }
        // Control characters are white space here: a text that was pasted may have line breaks.
        let spaced: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let lower = spaced.to_lowercase();
        let text = lower.split_whitespace().collect::<Vec<_>>().join(" ");
        match normalized(&text, SearchText::MAX_LENGTH) {
            Err(InvalidText::TooLong(_)) => Err(InvalidSearch::TooLong),
            Ok(text) if text.chars().any(is_searchable) => Ok(SearchText(text)),
            _ => Err(InvalidSearch::NoWords),
        }
    }

    /// As a text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What words are made of: letters, digits and symbols, emoji among them; not punctuation.
fn is_searchable(c: char) -> bool {
    use GeneralCategoryGroup::{Letter, Number, Symbol};
    matches!(c.general_category_group(), Letter | Number | Symbol)
}
