//! What people search for, drawn from a sample of the catalogue: words as often as products have them.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use farmlokal_catalog::Product;
use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, IteratorRandom as _};

use crate::queries::{ORDERS, Query};

/// Words of the sample.
pub(crate) struct Words {
    /// Of each product, name and description together.
    products: Vec<Vec<String>>,
    /// Those that most products have, the commonest first.
    commonest: Vec<String>,
    random: StdRng,
}

/// A page as the full-text index gives it, without total and facets, and with a deadline that both servers know.
const FULL_TEXT: &str = "/*M!100100 SET STATEMENT max_statement_time=5 FOR */ SELECT /*+ MAX_EXECUTION_TIME(5000) */ \
    id FROM farmlokal_full_text_bench.products WHERE MATCH (name, description) AGAINST (? IN BOOLEAN MODE) \
    ORDER BY price LIMIT 20";
/// How many words count as the commonest.
const COMMONEST: usize = 20;

impl Words {
    pub(crate) fn of(products: &[Product]) -> Words {
        let words = |product: &Product| {
            let text = format!("{} {}", product.name, product.description).to_lowercase();
            let words = text.split(|c: char| c.is_whitespace() || c.is_ascii_punctuation());
            let words = words.filter(|word| word.chars().count() > 2);
            words.map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect()
        };
        let products: Vec<Vec<String>> = products.iter().map(words).collect();
        let mut counts = HashMap::<&str, usize>::new();
        for word in products.iter().flatten() {
            *counts.entry(word).or_default() += 1;
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_unstable_by_key(|(word, count)| (std::cmp::Reverse(*count), *word));
        let commonest = counts.iter().take(COMMONEST).map(|(word, _)| (*word).to_owned()).collect();
        Words { products, commonest, random: rand::make_rng() }
    }

    /// The commonest words, by price, with total and facets.
    pub(crate) fn common(&mut self, count: usize) -> Result<Vec<Query>> {
        let mut query = || {
            let word = self.commonest.choose(&mut self.random).context("no words")?;
            let order = ORDERS.choose(&mut self.random).context("no orders")?;
            let limit = self.random.random_range(11..30);
            let rest = format!("&sort=price&order={order}&limit={limit}&total=true&facets=category,price");
            Ok(search(std::slice::from_ref(word), "", &rest))
        };
        (0..count).map(|_| query()).collect()
    }

    /// One to three words of a product, a tenth of them misspelt by one letter, in a tenth the last word cut short; with the total.
    pub(crate) fn mix(&mut self, count: usize) -> Result<Vec<Query>> {
        let mut query = || {
            let product = self.products.choose(&mut self.random).context("no words")?;
            let amount = self.random.random_range(1..=3);
            let mut words = product.iter().cloned().sample(&mut self.random, amount);
            let longest = words.iter_mut().max_by_key(|word| word.chars().count()).context("no words")?;
            let mut end = "";
            match self.random.random_range(0..10) {
                0 => *longest = misspelt(longest, &mut self.random),
                1 => {
                    let last = words.last_mut().context("no words")?;
                    *last = last.chars().take(self.random.random_range(3..6)).collect();
                    end = "*";
                }
                _ => {}
            }
            Ok(search(&words, end, "&total=true"))
        };
        (0..count).map(|_| query()).collect()
    }

    /// Beginnings of words, as they are typed.
    pub(crate) fn suggestions(&mut self, count: usize) -> Result<Vec<Query>> {
        let mut query = || {
            let word =
                self.products.choose(&mut self.random).and_then(|words| words.choose(&mut self.random));
            let length = self.random.random_range(2..6);
            let typed = word.context("no words")?.chars().take(length).collect::<String>();
            let path = format!("/products/suggest?{}&limit=8", encoded("q", &typed));
            Ok(Query { path, ..Query::default() })
        };
        (0..count).map(|_| query()).collect()
    }
}

/// Another letter in a place, or one letter less.
fn misspelt(word: &str, random: &mut StdRng) -> String {
    let mut letters: Vec<char> = word.chars().collect();
    let at = random.random_range(0..letters.len());
    if random.random() {
        letters[at] = if letters[at] == 'q' { 'x' } else { 'q' };
    } else {
        letters.remove(at);
    }
    letters.into_iter().collect()
}

/// All words; the last one ends in `end` for the full-text index, which finds prefixes only where it is told to.
fn search(words: &[String], end: &str, rest: &str) -> Query {
    let mut required = String::new();
    for word in words {
        let _ = write!(required, " +{word}");
    }
    Query {
        path: format!("/products?{}{rest}", encoded("search", &words.join(" "))),
        statement: FULL_TEXT.to_owned(),
        values: vec![required + end],
    }
}

fn encoded(name: &str, value: &str) -> String {
    form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish()
}
