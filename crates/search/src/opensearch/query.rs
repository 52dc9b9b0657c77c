//! What a list query asks OpenSearch for.

use farmlokal_catalog::{Categories, Category, PriceRange};
use serde_json::{Value, json};

use super::documents::{DESCRIPTION, NAME, Text};
use crate::{
    analysis::STEM,
    expansion::{Alternative, IN_NAME, Unit, Wanted, typos},
};

/// With four clauses each, eight in the few words that are long enough for typos: OpenSearch refuses more than 1,024. Only synonyms
/// can make so many.
const MOST_GROUPS: usize = 200;

/// The products that have all words, without synonyms where these would be too many. The score is the relevance, a whole number.
pub(super) fn words(units: &[Unit<Wanted>]) -> Value {
    let fits = units.iter().flat_map(Unit::alternatives).flat_map(|one| &one.groups).count() <= MOST_GROUPS;
    json!({"bool": {"must": units.iter().map(|one| unit(one, fits)).collect::<Vec<_>>()}})
}

fn unit(Unit { words, synonyms }: &Unit<Wanted>, with_synonyms: bool) -> Value {
    let ways_of = |alternatives: &[Alternative<Wanted>], words| {
        alternatives.iter().flat_map(move |one| ways(one, words)).collect::<Vec<_>>()
    };
    let mut of_words: Vec<Value> =
        words.iter().map(|word| json!({"dis_max": {"queries": ways_of(&word.alternatives, 1)}})).collect();
    let all = if of_words.len() == 1 { of_words.remove(0) } else { json!({"bool": {"must": of_words}}) };
    let mut queries = if with_synonyms { ways_of(synonyms, words.len()) } else { Vec::new() };
    queries.push(all);
    // The best counts.
    json!({"dis_max": {"queries": queries}})
}

/// One way to match so many words, in the name or in the description.
fn ways(alternative: &Alternative<Wanted>, words: usize) -> [Value; 2] {
    [(NAME, IN_NAME), (DESCRIPTION, 0)].map(|(text, more)| {
        let groups = alternative.groups.iter().map(|wanted| any_of(wanted, text)).collect();
        let filter = at_least(alternative.at_least, groups);
        let boost = usize::from(alternative.likeness as u16 + more) * words;
        json!({"constant_score": {"filter": filter, "boost": boost}})
    })
}

fn at_least(count: usize, mut clauses: Vec<Value>) -> Value {
    match clauses.len() {
        0 => json!({"match_none": {}}),
        1 => clauses.remove(0),
        _ => json!({"bool": {"should": clauses, "minimum_should_match": count}}),
    }
}

/// A text has one of these terms. A constant score also keeps OpenSearch from counting only the first 50 terms that are like one.
fn any_of(wanted: &Wanted, text: Text) -> Value {
    let clauses = match wanted {
        Wanted::Terms(terms) => {
            let (stems, words): (Vec<&str>, Vec<&str>) =
                terms.iter().map(String::as_str).partition(|term| term.starts_with(STEM));
            let stems: Vec<&str> = stems.iter().map(|stem| stem.trim_start_matches(STEM)).collect();
            let of = |(field, terms): (&str, Vec<&str>)| {
                (!terms.is_empty()).then(|| json!({"terms": {field: terms}}))
            };
            [(text.words, words), (text.stems, stems)].into_iter().filter_map(of).collect()
        }
        Wanted::Beginning(prefix) => {
            vec![json!({"prefix": {text.words: {"value": prefix, "rewrite": "constant_score"}}})]
        }
        Wanted::Misspelt(forms) => {
            let fuzzy = |field: &str, form: &String| {
                let typos = typos(form);
                json!({"fuzzy": {field: {"value": form, "fuzziness": typos, "rewrite": "constant_score"}}})
            };
            forms.iter().flat_map(|form| [text.words, text.stems].map(|field| fuzzy(field, form))).collect()
        }
    };
    at_least(1, clauses)
}

pub(super) fn in_categories(categories: &Categories) -> Value {
    if categories.as_slice().is_empty() {
        return json!({"match_all": {}});
    }
    let names: Vec<&str> = categories.as_slice().iter().map(Category::as_str).collect();
    json!({"terms": {"category": names}})
}

pub(super) fn in_range(prices: PriceRange) -> Value {
    if prices.is_all() {
        return json!({"match_all": {}});
    }
    json!({"range": {"price": {"gte": prices.lowest().cents(), "lte": prices.highest().cents()}}})
}
