//! A page as the API shows it.

use farmlokal_catalog::{Level, Page, PriceRange};

use crate::{Correction, Piece};

/// A page, and what else its query asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchPage {
    /// The products, and where the next page starts.
    pub page: Page,
    /// How many products match, all pages together.
    pub total: Option<u64>,
    /// Categories and how many products match in each.
    pub category_facet: Option<Vec<(String, u64)>>,
    /// Ranges of prices and how many products match in each.
    pub price_facet: Option<Vec<(PriceRange, u64)>>,
    /// For each product, in their order.
    pub highlights: Option<Vec<Highlights>>,
    /// How the search was read; `None` without one.
    pub reading: Option<Reading>,
}

/// The pieces of a product's texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Highlights {
    /// Of its name.
    pub name: Vec<Piece>,
    /// Of its description.
    pub description: Vec<Piece>,
}

/// How a search was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// How far it forgave.
    pub level: Level,
    /// Words that were read otherwise than written.
    pub corrections: Vec<Correction>,
}
