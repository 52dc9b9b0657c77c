//! What the catalogue sells and the words for it, read from `data/`. Each list there starts with its most common entry.

use std::collections::HashMap;

use anyhow::Context as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A category and its share of the catalogue.
#[derive(Deserialize)]
pub(crate) struct Category<R = Range> {
    /// As stored and filtered by.
    pub slug: String,
    /// Weight against the other categories.
    pub share: u32,
    pub ranges: Vec<R>,
}

/// Goods of one category that come in the same sizes and are described by the same phrases.
pub(crate) struct Range {
    /// What it is, and the median price in cents of its middle size.
    pub kinds: Vec<(String, u32)>,
    /// Flavours, breeds, materials or colours.
    pub variants: Vec<String>,
    /// Pack or clothing sizes, each with its price in percent of the middle one.
    pub sizes: Vec<(String, u32)>,
    pub phrases: Phrases,
    pub trade: Trade,
}

/// Phrases that are true of all goods of one sort.
#[derive(Clone, Deserialize)]
pub(crate) struct Phrases {
    /// What a label praises.
    pub qualities: Vec<String>,
    /// How it is made or what it has; follows a comma.
    pub features: Vec<String>,
    /// A second sentence.
    pub uses: Vec<String>,
}

/// Who makes the goods. It decides the form of the name and the spread of prices.
#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Trade {
    /// "Alpine Meadow Smoked Goat Cheese, 250 g"
    Farm,
    /// "Heavy-Duty Rubber Garden Hose 20m"
    Workshop,
}

/// The parts of the names of places, farms and brands.
#[derive(Deserialize)]
pub(super) struct NameParts {
    pub place_starts: Vec<String>,
    pub place_ends: Vec<String>,
    pub scenes: Vec<String>,
    pub lands: Vec<String>,
    pub businesses: Vec<String>,
    pub brand_starts: Vec<String>,
    pub brand_middles: Vec<String>,
    pub brand_ends: Vec<String>,
}

/// A range as the file has it: with the names of its lists.
#[derive(Deserialize)]
struct RangeEntry {
    kinds: Vec<(String, u32)>,
    variants: String,
    sizes: String,
    phrases: String,
    trade: Trade,
}

/// All categories.
pub(crate) fn categories() -> anyhow::Result<Vec<Category>> {
    let variants = parse("variants", include_str!("../../data/variants.json"))?;
    let sizes = parse("sizes", include_str!("../../data/sizes.json"))?;
    let phrases = parse("phrases", include_str!("../../data/phrases.json"))?;
    let range = |entry: RangeEntry| {
        Ok(Range {
            kinds: entry.kinds,
            variants: list(&variants, &entry.variants)?,
            sizes: list(&sizes, &entry.sizes)?,
            phrases: list(&phrases, &entry.phrases)?,
            trade: entry.trade,
        })
    };
    let entries: Vec<Category<RangeEntry>> = parse("categories", include_str!("../../data/categories.json"))?;
    let category = |Category { slug, share, ranges }: Category<RangeEntry>| {
        let ranges: anyhow::Result<Vec<_>> = ranges.into_iter().map(range).collect();
        Ok(Category { slug, share, ranges: ranges? })
    };
    entries.into_iter().map(category).collect()
}

pub(super) fn name_parts() -> anyhow::Result<NameParts> {
    parse("names", include_str!("../../data/names.json"))
}

fn parse<T: DeserializeOwned>(name: &str, text: &str) -> anyhow::Result<T> {
    serde_json::from_str(text).with_context(|| format!("data/{name}.json"))
}

fn list<T: Clone>(lists: &HashMap<String, T>, name: &str) -> anyhow::Result<T> {
    lists.get(name).cloned().with_context(|| format!("no list is called {name}"))
}
