//! What is stored of a product: numbers to sort by, words to find it by. No text that is shown.

use farmlokal_catalog::IndexRow;
use tantivy::{
    Index, IndexSettings, IndexSortByField, Order, TantivyDocument, TantivyError, Term,
    directory::RamDirectory,
    schema::{BytesOptions, FAST, Field, INDEXED, IndexRecordOption, Schema, TextFieldIndexing, TextOptions},
    store::Compressor,
    tokenizer::{PreTokenizedStream, PreTokenizedString, Token, Tokenizer, TokenizerManager},
};

use crate::analysis::{Analysis, StemCache, words};

pub(super) const ID: &str = "id";
pub(super) const PRICE: &str = "price";
pub(super) const CREATED_AT: &str = "created_at";
pub(super) const NAME_KEY: &str = "name_key";
pub(super) const CATEGORY: &str = "category";

/// The fields of the index.
#[derive(Clone, Copy)]
pub(super) struct Fields {
    id: Field,
    price: Field,
    created_at: Field,
    name_key: Field,
    pub(super) category: Field,
    pub(super) name: Field,
    pub(super) description: Field,
}

/// An empty index. Its documents are ordered by price in each segment, so that a range of prices is a range of documents.
pub(super) fn create(directory: RamDirectory, analysis: Analysis) -> Result<(Index, Fields), TantivyError> {
    let words = |tokenizer| {
        // Relevance does not count how often a word occurs, or where.
        let indexing = TextFieldIndexing::default()
            .set_tokenizer(tokenizer)
            .set_index_option(IndexRecordOption::Basic)
            .set_fieldnorms(false);
        TextOptions::default().set_indexing_options(indexing)
    };
    let mut schema = Schema::builder();
    let fields = Fields {
        id: schema.add_u64_field(ID, INDEXED | FAST),
        price: schema.add_u64_field(PRICE, FAST),
        created_at: schema.add_u64_field(CREATED_AT, FAST),
        name_key: schema.add_bytes_field(NAME_KEY, BytesOptions::default().set_fast()),
        category: schema.add_text_field(CATEGORY, words("raw").set_fast("raw")),
        name: schema.add_text_field("name", words("name")),
        description: schema.add_text_field("description", words("description")),
    };
    let tokenizers = TokenizerManager::default();
    for (name, completes) in [("name", true), ("description", false)] {
        tokenizers.register(name, TermTokenizer { analysis, completes, stems: StemCache::default() });
    }
    let settings = IndexSettings {
        sort_by_field: Some(IndexSortByField { field: PRICE.into(), order: Order::Asc }),
        docstore_compression: Compressor::None,
        docstore_compress_dedicated_thread: false,
        ..IndexSettings::default()
    };
    let builder = Index::builder().schema(schema.build()).tokenizers(tokenizers).settings(settings);
    Ok((builder.open_or_create(directory)?, fields))
}

impl Fields {
    /// What words are searched in.
    pub(super) fn texts(&self) -> [Field; 2] {
        [self.name, self.description]
    }

    pub(super) fn document(&self, IndexRow { product, name_key }: &IndexRow) -> TantivyDocument {
        let mut document = TantivyDocument::new();
        document.add_u64(self.id, product.id);
        document.add_u64(self.price, product.price.cents());
        document.add_u64(self.created_at, tantivy::i64_to_u64(product.created_at.timestamp_millis()));
        document.add_bytes(self.name_key, name_key);
        document.add_text(self.category, &product.category);
        document.add_text(self.name, &product.name);
        document.add_text(self.description, &product.description);
        document
    }

    pub(super) fn id_term(&self, id: u64) -> Term {
        Term::from_field_u64(self.id, id)
    }
}

/// The words of a text as terms.
#[derive(Clone)]
struct TermTokenizer {
    analysis: Analysis,
    completes: bool,
    stems: StemCache,
}

impl Tokenizer for TermTokenizer {
    type TokenStream<'a> = PreTokenizedStream;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> PreTokenizedStream {
        let mut tokens = Vec::new();
        let mut add = |text| tokens.push(Token { text, position: 0, ..Token::default() });
        for placed in words(text) {
            let written = self.completes.then(|| text.get(placed.range).unwrap_or_default());
            self.analysis.terms(&placed.word, written, &mut self.stems, &mut add);
        }
        PreTokenizedString { text: String::new(), tokens }.into()
    }
}
