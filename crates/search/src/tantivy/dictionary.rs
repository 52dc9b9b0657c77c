//! What the dictionaries of the segments have that is like a word, and the documents that have it.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    io,
};

use tantivy::{
    DocId, Searcher, TantivyError, Term, postings::TermInfo, query::FuzzyTermQuery, schema::Field,
    schema::IndexRecordOption, termdict::TermDictionary,
};

use super::{documents::Documents, snapshot::Snapshot};
use crate::{
    analysis::{COMPLETION, STEM},
    expansion::typos,
};

/// The documents of a segment that have a term in a field. Those that are gone are still among them.
pub(super) struct Postings {
    pub(super) segment: usize,
    pub(super) field: Field,
    info: TermInfo,
}

/// How many terms are counted to find the most common, those first that most documents have.
const COUNTED: usize = 1_000;

/// Terms and their postings in all segments.
pub(super) type Terms = BTreeMap<String, Vec<Postings>>;

impl Postings {
    /// Calls `collect` with the documents, in their order: with all that are `among` these, and perhaps with others.
    pub(super) fn each(
        &self,
        searcher: &Searcher,
        among: &Documents,
        mut collect: impl FnMut(DocId),
    ) -> Result<(), TantivyError> {
        /// To skip to a document takes as long as to look at so many.
        const SKIP: u32 = 64;
        if among.len() == 0 {
            return Ok(());
        }
        let index = searcher.segment_readers()[self.segment].inverted_index(self.field)?;
        let mut blocks = index.read_block_postings_from_terminfo(&self.info, IndexRecordOption::Basic)?;
        if among.len() < self.info.doc_freq / SKIP {
            for document in among.all() {
                let nth = blocks.seek(document);
                if blocks.doc(nth) == document {
                    collect(document);
                }
            }
            return Ok(());
        }
        while !blocks.docs().is_empty() {
            blocks.docs().iter().for_each(|document| collect(*document));
            blocks.advance();
        }
        Ok(())
    }
}

/// The most documents that can have one of these terms.
pub(super) fn at_most<'p>(postings: impl IntoIterator<Item = &'p Postings>) -> u64 {
    postings.into_iter().map(|one| u64::from(one.info.doc_freq)).sum()
}

impl Snapshot {
    /// Those of the given terms that any product has.
    pub(super) fn terms(&self, fields: &[Field], given: &[impl AsRef<str>]) -> Result<Terms, TantivyError> {
        self.gather(fields, |dictionary, add| {
            for term in given.iter().map(AsRef::as_ref) {
                if let Some(info) = dictionary.get(term)? {
                    add(term.as_bytes(), &info);
                }
            }
            Ok(())
        })
    }

    /// The terms that begin with this one, and are longer.
    pub(super) fn beginning_with(&self, fields: &[Field], prefix: &str) -> Result<Terms, TantivyError> {
        self.gather(fields, |dictionary, add| {
            let mut stream = dictionary.range().gt(prefix).into_stream()?;
            while stream.advance() && stream.key().starts_with(prefix.as_bytes()) {
                add(stream.key(), stream.value());
            }
            Ok(())
        })
    }

    /// The words and stems that become one of these forms by so many letters that are added, left out, replaced or exchanged with
    /// their neighbour.
    pub(super) fn misspelt(&self, forms: &[String]) -> Result<Terms, TantivyError> {
        // Only the text of the term counts for the automaton, not its field.
        let term =
            |before: &str, form: &str| Term::from_field_text(self.fields.name, &format!("{before}{form}"));
        let automaton =
            |before: &str, form: &str| FuzzyTermQuery::new(term(before, form), typos(form), true).automaton();
        let automata = forms.iter().map(|form| Ok((automaton("", form)?, automaton(STEM, form)?)));
        let automata = automata.collect::<Result<Vec<_>, TantivyError>>()?;
        self.gather(&self.fields.texts(), |dictionary, add| {
            for (of_words, of_stems) in &automata {
                // Stems and completions begin with control characters, and words after these.
                let words = dictionary.search(of_words).ge(" ");
                for found in [words, dictionary.search(of_stems).ge(STEM).lt(COMPLETION)] {
                    let mut stream = found.into_stream()?;
                    while stream.advance() {
                        add(stream.key(), stream.value());
                    }
                }
            }
            Ok(())
        })
    }

    fn gather(
        &self,
        fields: &[Field],
        find: impl Fn(&TermDictionary, &mut dyn FnMut(&[u8], &TermInfo)) -> io::Result<()>,
    ) -> Result<Terms, TantivyError> {
        let mut terms = Terms::new();
        for (segment, reader) in self.searcher.segment_readers().iter().enumerate() {
            for field in fields {
                find(reader.inverted_index(*field)?.terms(), &mut |term, info| {
                    let term = str::from_utf8(term).unwrap_or_default();
                    let postings = Postings { segment, field: *field, info: info.clone() };
                    match terms.get_mut(term) {
                        Some(others) => others.push(postings),
                        None => drop(terms.insert(term.to_owned(), vec![postings])),
                    }
                })?;
            }
        }
        Ok(terms)
    }

    /// The terms that most of the products found have, and at least one; equally common ones by their bytes. At most [`COUNTED`]
    /// are counted.
    pub(super) fn most_common<'t>(
        &self,
        terms: impl Iterator<Item = (&'t str, &'t [Postings])>,
        most: usize,
        found: &[Documents],
    ) -> Result<Vec<(&'t str, u64)>, TantivyError> {
        let mut terms: Vec<_> = terms.map(|(term, postings)| (at_most(postings), term, postings)).collect();
        terms.sort_unstable_by_key(|(at_most, term, _)| (Reverse(*at_most), *term));
        let mut counted: BTreeSet<(Reverse<u64>, &str)> = BTreeSet::new();
        for (at_most, term, postings) in terms.into_iter().take(COUNTED) {
            if counted.iter().nth(most.saturating_sub(1)).is_some_and(|(Reverse(least), _)| *least > at_most)
            {
                break;
            }
            let products = self.count(postings, found)?;
            if products > 0 {
                counted.insert((Reverse(products), term));
            }
        }
        Ok(counted.into_iter().take(most).map(|(Reverse(products), term)| (term, products)).collect())
    }

    /// How many of the products that were found have a term.
    fn count(&self, postings: &[Postings], found: &[Documents]) -> Result<u64, TantivyError> {
        let mut products = 0;
        for postings in postings.chunk_by(|one, next| one.segment == next.segment) {
            let mut documents: Vec<DocId> = Vec::new();
            for one in postings {
                let found = &found[one.segment];
                one.each(&self.searcher, found, |document| {
                    documents.extend(found.has(document).then_some(document));
                })?;
            }
            // Name and description can both have it.
            documents.sort_unstable();
            documents.dedup();
            products += documents.len() as u64;
        }
        Ok(products)
    }
}
