//! What a list query, or the beginning of a word, finds in an index.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashSet},
    convert::Infallible,
};

use farmlokal_catalog::{Level, ListQuery, Order, PriceRange, SearchText, Sort, SortValue};
use serde_json::{Value, json};
use strsim::osa_distance;

use super::{
    OpenSearch,
    documents::{COMPLETIONS, DESCRIPTION, NAME, hex},
    query::{in_categories, in_range, words as query_of},
};
use crate::{
    Correction, EngineError, Found, Highlighter, Match, Suggestion,
    analysis::{Analysis, STEM, SURFACE, Word, searched, words},
    expansion::{Alternative, CORRECTIONS, Likeness, Unit, Wanted, expand, typos},
    facets::{CATEGORIES, price_ranges},
};

/// Of each shard: so many keep the counts of the most common exact where there are several shards.
const OF_SHARD: usize = 10_000;

/// Products, of each shard, whose words are completions. With as many as 300,000 that have one, looking at all takes seconds.
const LOOKED_AT: usize = 1_000;

/// OpenSearch takes no longer ones. Folded, 255 characters can become more, but no name begins so.
const LONGEST_PATTERN: usize = 1_000;

impl OpenSearch {
    /// What an index has that is noted to be at this position.
    pub(crate) async fn search(
        &self,
        index: &str,
        position: u64,
        query: &ListQuery,
        name_key: Option<&[u8]>,
    ) -> Result<Found, EngineError> {
        let filter = query.filter();
        let words = filter.search.iter().flat_map(|search| searched(search.as_str()));
        let words: Vec<Word> = words.map(|placed| placed.word).collect();
        let of_cursor = query.after().map(|position| position.level);
        let is_filtered = !filter.categories.as_slice().is_empty() || !filter.prices.is_all();
        let mut first = None;
        for level in Level::ALL.into_iter().filter(|level| of_cursor.is_none_or(|of| of == *level)) {
            let units = self.expand(&words, level);
            let body = body(query, name_key, &units, level);
            let found = self.found(query, position, &units, level, &self.client.search(index, &body).await?);
            // The next level only where the whole catalogue has nothing.
            let is_last = words.is_empty() || of_cursor.is_some() || !found.matches.is_empty();
            if is_last || is_filtered && self.finds_any(index, &units).await? {
                return Ok(found);
            }
            first.get_or_insert(found);
        }
        first.ok_or_else(|| EngineError::Failed("there is no level".to_owned()))
    }

    fn expand(&self, words: &[Word], level: Level) -> Vec<Unit<Wanted>> {
        let Ok(units) = expand(words, level, self.analysis, &self.synonyms, Ok::<_, Infallible>);
        units
    }

    async fn finds_any(&self, index: &str, units: &[Unit<Wanted>]) -> Result<bool, EngineError> {
        let body = json!({"size": 0, "query": query_of(units), "terminate_after": 1, "track_total_hits": 1});
        Ok(self.client.search(index, &body).await?["hits"]["total"]["value"] != 0)
    }

    fn found(
        &self,
        query: &ListQuery,
        position: u64,
        units: &[Unit<Wanted>],
        level: Level,
        answer: &Value,
    ) -> Found {
        let include = query.include();
        let hits = answer["hits"]["hits"].as_array().map_or(&[][..], Vec::as_slice);
        let of = |facet: &str| buckets(&answer["aggregations"][facet]["of"]);
        let prices =
            || price_ranges().zip(of("price").map(|(_, count)| count)).filter(|(_, count)| *count > 0);
        let products: Vec<_> = hits.iter().map(|hit| self.terms(&hit["fields"])).collect();
        let (corrections, terms) = read(self.analysis, units, &products);
        let highlighter = Highlighter { analysis: self.analysis, terms };
        Found {
            matches: hits.iter().filter_map(|hit| matched(&hit["sort"], query.sort())).collect(),
            total: answer["hits"]["total"]["value"].as_u64().filter(|_| include.total),
            category_facet: include.category_facet.then(|| of("category").collect()),
            price_facet: include.price_facet.then(|| prices().collect()),
            level,
            corrections,
            highlighter: (include.highlights && !units.is_empty()).then_some(highlighter),
            position,
            is_stale: false,
        }
    }

    /// The terms of a product's name and of its description, where these were asked for.
    fn terms(&self, fields: &Value) -> [HashSet<String>; 2] {
        [NAME, DESCRIPTION].map(|text| {
            let words = fields[text.words].as_array().into_iter().flatten().filter_map(Value::as_str);
            let stem = |word| self.analysis.stem(word).map(|stem| [STEM, &stem].concat());
            words.flat_map(|word| [Some(word.to_owned()), stem(word)]).flatten().collect()
        })
    }

    /// At most `limit` completions of a text's last word, the most common first, of those that the first products found have.
    pub(crate) async fn suggest(
        &self,
        index: &str,
        text: &SearchText,
        limit: usize,
    ) -> Result<Vec<Suggestion>, EngineError> {
        let Some(last) = words(text.as_str()).pop() else { return Ok(Vec::new()) };
        let (Word::Plain { whole: prefix, .. } | Word::Run(prefix)) = last.word else {
            return Ok(Vec::new());
        };
        let begins = text.as_str().get(..last.range.start).unwrap_or_default();
        let before: Vec<Word> = searched(begins).into_iter().map(|placed| placed.word).collect();
        // Nothing but letters, marks and digits is plain in every regular expression.
        let escaped =
            prefix.chars().flat_map(|c| (!c.is_alphanumeric()).then_some('\\').into_iter().chain([c]));
        let include: String = escaped.chain(".*".chars()).collect();
        if include.encode_utf16().count() > LONGEST_PATTERN {
            return Ok(Vec::new());
        }
        let before = query_of(&self.expand(&before, Level::AsWritten));
        let asked = |filter: Value, aggregation: Value| {
            json!({
                "size": 0,
                "track_total_hits": false,
                "query": {"bool": {"filter": [filter, before]}},
                "aggs": {"of": aggregation},
            })
        };
        // Which words there are takes a look at each product, and how many products have one does not.
        let terms = json!({"terms": {"field": COMPLETIONS, "include": include, "size": limit, "shard_size": OF_SHARD}});
        let mut body = asked(json!({"prefix": {COMPLETIONS: {"value": prefix}}}), terms);
        body["terminate_after"] = json!(LOOKED_AT);
        let answer = self.client.search(index, &body).await?;
        let keys: Vec<String> = buckets(&answer["aggregations"]["of"]).map(|(key, _)| key).collect();
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let filters: Vec<Value> = keys.iter().map(|key| json!({"term": {COMPLETIONS: key}})).collect();
        let body = asked(json!({"terms": {COMPLETIONS: keys}}), json!({"filters": {"filters": filters}}));
        let answer = self.client.search(index, &body).await?;
        let counts = buckets(&answer["aggregations"]["of"]).map(|(_, count)| count);
        let mut counted: Vec<(String, u64)> = keys.into_iter().zip(counts).collect();
        counted.sort_by(|(one, of_one), (other, of_other)| of_other.cmp(of_one).then_with(|| one.cmp(other)));
        let suggestion = |(key, products): (String, u64)| {
            let (_, written) = key.split_once(SURFACE)?;
            Some(Suggestion { text: format!("{begins}{written}"), products })
        };
        Ok(counted.into_iter().filter_map(suggestion).collect())
    }
}

fn body(query: &ListQuery, name_key: Option<&[u8]>, units: &[Unit<Wanted>], level: Level) -> Value {
    let (filter, include) = (query.filter(), query.include());
    let filters = [in_categories(&filter.categories), in_range(filter.prices)];
    let direction = if query.order() == Order::Asc { "asc" } else { "desc" };
    let field = match query.sort() {
        Sort::Id => None,
        Sort::Price => Some("price"),
        Sort::Name => Some("name_key"),
        Sort::CreatedAt => Some("created_at"),
        Sort::Relevance => Some("_score"),
    };
    let sort: Vec<Value> = field.into_iter().chain(["id"]).map(|field| json!({field: direction})).collect();
    let mut body = json!({
        "size": query.rows(),
        "stored_fields": "_none_",
        "track_total_hits": include.total,
        "query": {"bool": {"must": query_of(units)}},
        "sort": sort,
    });
    if let Some(after) = query.after() {
        let key = match &after.value {
            SortValue::Id => None,
            SortValue::Price(price) => Some(json!(price.cents())),
            SortValue::Name(_) => Some(json!(hex(name_key.unwrap_or_default()))),
            SortValue::CreatedAt(time) => Some(json!(time.timestamp_millis())),
            SortValue::Relevance(relevance) => Some(json!(relevance)),
        };
        body["search_after"] = key.into_iter().chain([json!(after.id)]).collect();
    }
    if level > Level::AsWritten {
        body["docvalue_fields"] = json!([NAME.words, DESCRIPTION.words]);
    }
    // A facet leaves its own filter out.
    if include.category_facet {
        let order = json!([{"_count": "desc"}, {"_key": "asc"}]);
        let terms = json!({"field": "category", "size": CATEGORIES, "shard_size": OF_SHARD, "order": order});
        body["aggs"]["category"] = json!({"filter": filters[1], "aggs": {"of": {"terms": terms}}});
    }
    if include.price_facet {
        let ends = |range: PriceRange| (range.lowest().cents(), range.highest().cents() + 1);
        let ranges = price_ranges().map(ends).map(|(from, to)| json!({"from": from, "to": to}));
        let of = json!({"range": {"field": "price", "ranges": ranges.collect::<Vec<_>>()}});
        body["aggs"]["price"] = json!({"filter": filters[0], "aggs": {"of": of}});
    }
    if body["aggs"].is_null() {
        body["query"]["bool"]["filter"] = json!(filters);
    } else {
        body["post_filter"] = json!({"bool": {"filter": filters}});
    }
    body
}

fn buckets(of: &Value) -> impl Iterator<Item = (String, u64)> {
    let bucket = |one: &Value| {
        (one["key"].as_str().unwrap_or_default().to_owned(), one["doc_count"].as_u64().unwrap_or(0))
    };
    of["buckets"].as_array().into_iter().flatten().map(bucket)
}

/// By what it is sorted: its relevance, where that is it, and its id.
fn matched(sorted: &Value, sort: Sort) -> Option<Match> {
    let score = sorted[0].as_f64().filter(|_| sort == Sort::Relevance);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small whole number")]
    let relevance = score.map_or(0, |score| score as u32);
    Some(Match { id: sorted.as_array()?.last()?.as_u64()?, relevance })
}

/// The words that these products have otherwise than written, and every term that they may have been found by.
fn read(
    analysis: Analysis,
    units: &[Unit<Wanted>],
    products: &[[HashSet<String>; 2]],
) -> (Vec<Correction>, HashSet<String>) {
    let wanted = units.iter().flat_map(Unit::alternatives).flat_map(|one| &one.groups);
    let given =
        wanted.filter_map(|wanted| if let Wanted::Terms(terms) = wanted { Some(terms) } else { None });
    let mut terms: HashSet<String> = given.flatten().cloned().collect();
    let mut corrections = Vec::new();
    for (unit, word) in units.iter().flat_map(|unit| unit.words.iter().map(move |word| (unit, word))) {
        let Word::Plain { whole, .. } = &word.word else { continue };
        let (forgiving, written): (Vec<_>, Vec<_>) =
            word.alternatives.iter().partition(|one| one.likeness < Likeness::Alike);
        let forgives = |term: &str, is_stem| {
            forgiving.iter().flat_map(|one| &one.groups).any(|wanted| forgives(wanted, term, is_stem))
        };
        let mut others: BTreeMap<&str, u64> = BTreeMap::new();
        for word in products.iter().flat_map(|[name, description]| name.union(description)) {
            let stem = analysis.stem(word).filter(|stem| !word.starts_with(STEM) && forgives(stem, true));
            if stem.is_some() || !word.starts_with(STEM) && forgives(word, false) {
                *others.entry(word).or_default() += 1;
                terms.extend(stem.map(|stem| [STEM, &stem].concat()));
            }
        }
        terms.extend(others.keys().map(|word| (*word).to_owned()));
        let mut as_written = written.into_iter().chain(&unit.synonyms);
        if !others.is_empty() && !as_written.any(|one| products.iter().flatten().any(|text| has(text, one))) {
            let mut others: Vec<(&str, u64)> = others.into_iter().collect();
            others.sort_by_key(|(_, products)| Reverse(*products));
            let found = others.into_iter().take(CORRECTIONS).map(|(word, _)| word.to_owned()).collect();
            corrections.push(Correction { word: whole.clone(), found });
        }
    }
    (corrections, terms)
}

/// Whether a word or a stem is one of those that the index was asked for.
fn forgives(wanted: &Wanted, term: &str, is_stem: bool) -> bool {
    match wanted {
        Wanted::Terms(_) => false,
        Wanted::Beginning(prefix) => !is_stem && term.len() > prefix.len() && term.starts_with(prefix),
        Wanted::Misspelt(forms) => {
            forms.iter().any(|form| osa_distance(form, term) <= usize::from(typos(form)))
        }
    }
}

/// Whether a text with these terms is found as it is written.
fn has(text: &HashSet<String>, Alternative { groups, at_least, .. }: &Alternative<Wanted>) -> bool {
    let is_there = |wanted: &&Wanted| matches!(wanted, Wanted::Terms(terms) if terms.iter().any(|term| text.contains(term)));
    groups.iter().filter(is_there).count() >= *at_least
}
