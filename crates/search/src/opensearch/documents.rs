//! What OpenSearch stores of a product: numbers to sort by, words to find it by. No text that is shown.

use std::{collections::BTreeSet, iter};

use farmlokal_catalog::IndexRow;
use serde_json::{Value, json};

use crate::analysis::{Analysis, COMPLETION, STEM, StemCache, words};

/// Of what an index holds. Raise it with any change of the documents, and of the analysis that makes them: an index of a lower
/// version is replaced.
pub(super) const SCHEMA: u32 = 1;
/// Bytes that one bulk is to have at the most, a document more or less.
const BULK: usize = 5 << 20;

/// Name or description: the fields of its words and of their stems.
#[derive(Clone, Copy)]
pub(super) struct Text {
    pub(super) words: &'static str,
    pub(super) stems: &'static str,
}

pub(super) const NAME: Text = Text { words: "name", stems: "name_stems" };
pub(super) const DESCRIPTION: Text = Text { words: "description", stems: "description_stems" };
/// Completions of words of the name: the folded word, [`SURFACE`](crate::analysis::SURFACE), and the word as it is written.
pub(super) const COMPLETIONS: &str = "completions";

/// By which an index is written: nothing makes an index that is gone anew, as a write by its own name would.
pub(super) fn alias(index: &str) -> String {
    format!("{index}.writes")
}

/// A new index. Nobody sees a change before [`bulk`](super::client::Client::bulk) says so; a delete is remembered for an hour, so
/// that the late write of a process that wrote before brings nothing back. Shards and replicas are as the cluster makes them.
pub(super) fn definition(name: &str) -> Value {
    let searched = json!({"type": "keyword", "doc_values": false});
    // Words come back with what was found by forgiving.
    let shown = json!({"type": "keyword"});
    let sorted = json!({"type": "long", "index": false});
    json!({
        "aliases": {alias(name): {}},
        "settings": {"index": {"refresh_interval": "-1", "gc_deletes": "1h"}},
        "mappings": {"dynamic": "strict", "_source": {"enabled": false}, "properties": {
            "id": sorted,
            "created_at": sorted,
            "price": {"type": "long"},
            "name_key": {"type": "keyword", "index": false},
            "category": {"type": "keyword"},
            NAME.words: shown,
            NAME.stems: searched,
            DESCRIPTION.words: shown,
            DESCRIPTION.stems: searched,
            COMPLETIONS: {"type": "keyword"},
        }},
    })
}

/// Bulks that store products, or remove those that are `None`, as of a version. Each is made when it is asked for: all at once would
/// take as much memory as the products.
pub(super) fn bulks(
    analysis: Analysis,
    changes: Vec<(u64, Option<IndexRow>)>,
    version: u64,
) -> impl Iterator<Item = String> + Send + 'static {
    let (mut changes, mut stems) = (changes.into_iter(), StemCache::default());
    iter::from_fn(move || {
        let mut bulk = String::new();
        while bulk.len() < BULK
            && let Some((id, row)) = changes.next()
        {
            let action = if row.is_some() { "index" } else { "delete" };
            let meta =
                json!({action: {"_id": id.to_string(), "version": version, "version_type": "external_gte"}});
            let document = row.map(|row| document(analysis, &row, &mut stems));
            for line in [Some(meta), document].into_iter().flatten() {
                bulk.extend([&line.to_string(), "\n"]);
            }
        }
        (!bulk.is_empty()).then_some(bulk)
    })
}

fn document(analysis: Analysis, IndexRow { product, name_key }: &IndexRow, stems: &mut StemCache) -> Value {
    let mut terms = |text: &str, completes: bool| {
        let mut terms = [BTreeSet::new(), BTreeSet::new(), BTreeSet::new()];
        for placed in words(text) {
            let written = completes.then(|| text.get(placed.range).unwrap_or_default());
            analysis.terms(&placed.word, written, stems, &mut |term| {
                let [words, stems, completions] = &mut terms;
                if let Some(stem) = term.strip_prefix(STEM) {
                    stems.insert(stem.to_owned());
                } else if let Some(completion) = term.strip_prefix(COMPLETION) {
                    completions.insert(completion.to_owned());
                } else {
                    words.insert(term);
                }
            });
        }
        terms
    };
    let [name, name_stems, completions] = terms(&product.name, true);
    let [description, description_stems, _] = terms(&product.description, false);
    json!({
        "id": product.id,
        "created_at": product.created_at.timestamp_millis(),
        "price": product.price.cents(),
        "name_key": hex(name_key),
        "category": product.category,
        NAME.words: name,
        NAME.stems: name_stems,
        DESCRIPTION.words: description,
        DESCRIPTION.stems: description_stems,
        COMPLETIONS: completions,
    })
}

/// Texts that compare as the bytes do.
pub(super) fn hex(bytes: &[u8]) -> String {
    let halves = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    halves.filter_map(|half| char::from_digit(half.into(), 16)).collect()
}
