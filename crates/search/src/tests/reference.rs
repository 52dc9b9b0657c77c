//! What an engine has to find, by brute force over all products. Only the words of a text are taken from the analysis.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use farmlokal_catalog::{IndexRow, Level, ListQuery, Order, Price, PriceRange, Product, Sort, SortValue};

use crate::analysis::{Analysis, STEM, StemCache, Word, searched, words};

pub(super) struct Reference {
    pub(super) rows: BTreeMap<u64, IndexRow>,
    pub(super) analysis: Analysis,
}

#[derive(Debug, PartialEq)]
pub(super) struct Expected {
    pub(super) ids: Vec<u64>,
    pub(super) relevances: Vec<u32>,
    pub(super) total: u64,
    pub(super) categories: Vec<(String, u64)>,
    pub(super) prices: Vec<(PriceRange, u64)>,
    pub(super) level: Level,
}

/// Letters that are added, left out, replaced or exchanged with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            table[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = table[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let mut least = replaced.min(table[i - 1][j] + 1).min(table[i][j - 1] + 1);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    least = least.min(table[i - 2][j - 2] + 1);
                }
                least
            };
        }
    }
    table[a.len()][b.len()]
}

impl Reference {
    fn terms(&self, text: &str) -> BTreeSet<String> {
        let (mut terms, mut stems) = (BTreeSet::new(), StemCache::default());
        for placed in words(text) {
            self.analysis.terms(&placed.word, None, &mut stems, &mut |term| {
                terms.insert(term);
            });
        }
        terms
    }

    /// How well a text with these terms has a word, from 4 to 1.
    fn likeness(&self, terms: &BTreeSet<String>, word: &Word, is_last: bool, level: Level) -> Option<u32> {
        let of_text = || terms.iter().filter(|term| !term.starts_with(char::is_control));
        let allowed = |word: &str| match word.chars().count() {
            _ if word.chars().any(char::is_numeric) => 0,
            0..5 => 0,
            5..9 => 1,
            _ => 2,
        };
        match word {
            Word::Symbol(c) => terms.contains(&c.to_string()).then_some(4),
            Word::Run(run) => {
                let characters: Vec<char> = run.chars().collect();
                let pairs: Vec<String> = if characters.len() == 1 {
                    vec![run.clone()]
                } else {
                    characters.windows(2).map(|pair| pair.iter().collect()).collect()
                };
                let found = pairs.iter().filter(|pair| terms.contains(*pair)).count();
                if found == pairs.len() {
                    return Some(4);
                }
                let missing = 2 * allowed(run);
                (level == Level::Typos && missing > 0 && found >= 1 && found + missing >= pairs.len())
                    .then_some(1)
            }
            Word::Plain { whole, parts } => {
                if terms.contains(whole) {
                    return Some(4);
                }
                let stem = self.analysis.stem(whole).unwrap_or_else(|| whole.clone());
                let has_parts = !parts.is_empty() && parts.iter().all(|part| terms.contains(part));
                if terms.contains(&stem) || terms.contains(&format!("{STEM}{stem}")) || has_parts {
                    return Some(3);
                }
                if is_last && level >= Level::Prefix && of_text().any(|term| term.starts_with(whole.as_str()))
                {
                    return Some(2);
                }
                let is_close = |term: &String, form: &String| {
                    allowed(form) > 0 && distance(term.trim_start_matches(STEM), form) <= allowed(form)
                };
                let has_close = |form| terms.iter().any(|term| is_close(term, form));
                (level == Level::Typos && [whole, &stem].into_iter().any(has_close)).then_some(1)
            }
        }
    }

    fn relevance(&self, row: &IndexRow, searched: &[Word], level: Level) -> Option<u32> {
        let (name, description) = (self.terms(&row.product.name), self.terms(&row.product.description));
        let mut relevance = 0;
        for (nth, word) in searched.iter().enumerate() {
            let is_last = nth + 1 == searched.len();
            let in_name = self.likeness(&name, word, is_last, level).map(|likeness| likeness + 4);
            relevance += in_name.or_else(|| self.likeness(&description, word, is_last, level))?;
        }
        Some(relevance)
    }

    pub(super) fn answer(&self, query: &ListQuery) -> Expected {
        let filter = query.filter();
        let mut level = query.after().map_or(Level::AsWritten, |position| position.level);
        let matching = match &filter.search {
            None => self.rows.values().map(|row| (row, 0)).collect(),
            Some(search) => {
                let words: Vec<Word> =
                    searched(search.as_str()).into_iter().map(|placed| placed.word).collect();
                let at = |level| {
                    let found =
                        self.rows.values().filter_map(|row| Some((row, self.relevance(row, &words, level)?)));
                    found.collect::<Vec<_>>()
                };
                if query.after().is_some() {
                    at(level)
                } else {
                    let found = Level::ALL.into_iter().map(|level| (level, at(level)));
                    let (first, matching) = found
                        .into_iter()
                        .find(|(_, found)| !found.is_empty())
                        .unwrap_or((Level::AsWritten, Vec::new()));
                    level = first;
                    matching
                }
            }
        };
        let is_chosen = |row: &IndexRow| {
            let chosen = filter.categories.as_slice();
            chosen.is_empty() || chosen.iter().any(|category| category.as_str() == row.product.category)
        };
        let has_price =
            |row: &IndexRow| (filter.prices.lowest()..=filter.prices.highest()).contains(&row.product.price);

        let mut categories: BTreeMap<String, u64> = BTreeMap::new();
        for (row, _) in matching.iter().filter(|(row, _)| has_price(row)) {
            *categories.entry(row.product.category.clone()).or_default() += 1;
        }
        let mut categories: Vec<_> = categories.into_iter().collect();
        categories.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        categories.truncate(100);

        let mut prices: BTreeMap<u64, u64> = BTreeMap::new();
        for (row, _) in matching.iter().filter(|(row, _)| is_chosen(row)) {
            *prices.entry(beginning(row.product.price.cents())).or_default() += 1;
        }
        let price_range = |(from, count): (u64, u64)| {
            // What follows 0 is 10, what follows 2 is 5, and otherwise the double follows.
            let next = match from.to_string().chars().next() {
                Some('0') => 1_000,
                Some('2') => from / 2 * 5,
                _ => from * 2,
            };
            let end = (next - 1).min(Price::MAX.cents());
            (PriceRange::new(Price::from_cents(from), Price::from_cents(end)).unwrap(), count)
        };
        let prices = prices.into_iter().map(price_range).collect();

        let mut found: Vec<_> =
            matching.into_iter().filter(|(row, _)| is_chosen(row) && has_price(row)).collect();
        let total = found.len() as u64;
        found.sort_by(|a, b| compare(*a, *b, query));
        if let Some(after) = query.after() {
            let key = match &after.value {
                SortValue::Name(name) => name.clone().into_bytes(),
                _ => Vec::new(),
            };
            let product = Product {
                id: after.id,
                name: String::new(),
                description: String::new(),
                category: String::new(),
                price: if let SortValue::Price(price) = after.value { price } else { Price::MIN },
                created_at: if let SortValue::CreatedAt(time) = after.value {
                    time
                } else {
                    chrono::DateTime::UNIX_EPOCH
                },
                updated_at: chrono::DateTime::UNIX_EPOCH,
            };
            let row = IndexRow { product, name_key: key };
            let relevance = if let SortValue::Relevance(relevance) = after.value { relevance } else { 0 };
            found.retain(|one| compare(*one, (&row, relevance), query) == Ordering::Greater);
        }
        found.truncate(usize::try_from(query.rows()).unwrap());
        let by_relevance = query.sort() == Sort::Relevance;
        Expected {
            ids: found.iter().map(|(row, _)| row.product.id).collect(),
            relevances: found
                .iter()
                .map(|(_, relevance)| if by_relevance { *relevance } else { 0 })
                .collect(),
            total,
            categories,
            prices,
            level,
        }
    }
}

/// The greatest of 0, 10, 20, 50, 100 and so on that is not above this price, in cents.
fn beginning(cents: u64) -> u64 {
    let mut from = 0;
    let mut ten = 1_000;
    while ten <= cents {
        for step in [1, 2, 5] {
            if step * ten <= cents {
                from = step * ten;
            }
        }
        ten *= 10;
    }
    from
}

fn compare(
    (a, relevance_a): (&IndexRow, u32),
    (b, relevance_b): (&IndexRow, u32),
    query: &ListQuery,
) -> Ordering {
    let values = match query.sort() {
        Sort::Id => Ordering::Equal,
        Sort::Price => a.product.price.cmp(&b.product.price),
        Sort::Name => a.name_key.cmp(&b.name_key),
        Sort::CreatedAt => a.product.created_at.cmp(&b.product.created_at),
        Sort::Relevance => relevance_a.cmp(&relevance_b),
    };
    let ascending = values.then(a.product.id.cmp(&b.product.id));
    if query.order() == Order::Asc { ascending } else { ascending.reverse() }
}
