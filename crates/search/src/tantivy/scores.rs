//! How much each document counts for a search: one number for each document of a segment.

use tantivy::{DocId, Searcher, TantivyError, schema::Field};

use super::{
    dictionary::{Postings, Terms, at_most},
    documents::{Documents, retain_common},
};

/// Documents that match, by segment, and their scores. A segment in which none matches has no scores.
pub(super) struct Scores<'s> {
    searcher: &'s Searcher,
    pub(super) documents: Vec<Documents>,
    /// Those of other documents mean nothing.
    of: Vec<Vec<u16>>,
}

impl<'s> Scores<'s> {
    /// These documents, without scores.
    pub(super) fn new(searcher: &'s Searcher, documents: Vec<Documents>) -> Scores<'s> {
        Scores { searcher, of: vec![Vec::new(); documents.len()], documents }
    }

    /// The scores of a segment.
    pub(super) fn of(&self, segment: usize) -> &[u16] {
        &self.of[segment]
    }

    /// Adds a document of a segment, or raises its score, if that is not as high already.
    fn raise_in(&mut self, segment: usize, score: u16) -> impl FnMut(DocId) {
        let (documents, scores) = (&mut self.documents[segment], &mut self.of[segment]);
        scores.resize(self.searcher.segment_readers()[segment].max_doc() as usize, 0);
        move |document| {
            let before = &mut scores[document as usize];
            *before = if documents.insert(document) { score } else { score.max(*before) };
        }
    }

    /// Adds documents that have one of the terms, or raises their scores, if they are not as high already: of all that are `among`
    /// these, and perhaps of others.
    pub(super) fn raise<'p>(
        &mut self,
        postings: impl IntoIterator<Item = &'p Postings>,
        among: &[Documents],
        score: impl Fn(Field) -> u16,
    ) -> Result<(), TantivyError> {
        for one in postings.into_iter().filter(|one| among[one.segment].len() > 0) {
            let searcher = self.searcher;
            one.each(searcher, &among[one.segment], self.raise_in(one.segment, score(one.field)))?;
        }
        Ok(())
    }

    /// The same for documents that have terms of at least so many groups, all in one field.
    pub(super) fn raise_groups(
        &mut self,
        groups: &[Terms],
        at_least: usize,
        among: &[Documents],
        score: impl Fn(Field) -> u16,
        fields: [Field; 2],
    ) -> Result<(), TantivyError> {
        let mut groups: Vec<&Terms> = groups.iter().collect();
        // The rarest first: only its documents are looked for among those of the others.
        groups.sort_by_key(|terms| at_most(terms.values().flatten()));
        for (segment, among) in among.iter().enumerate() {
            for field in fields {
                let documents = if at_least == groups.len() {
                    self.having_all(&groups, segment, field, among)?
                } else {
                    self.having(at_least, &groups, segment, field, among)?
                };
                if documents.len() > 0 {
                    documents.all().for_each(self.raise_in(segment, score(field)));
                }
            }
        }
        Ok(())
    }

    fn having_all(
        &self,
        groups: &[&Terms],
        segment: usize,
        field: Field,
        among: &Documents,
    ) -> Result<Documents, TantivyError> {
        let mut documents = among.clone();
        for terms in groups {
            let mut having = documents.none();
            for one in in_field(terms, segment, field) {
                one.each(self.searcher, &documents, |document| {
                    having.insert(document);
                })?;
            }
            having.retain(&documents);
            documents = having;
        }
        Ok(documents)
    }

    fn having(
        &self,
        at_least: usize,
        groups: &[&Terms],
        segment: usize,
        field: Field,
        among: &Documents,
    ) -> Result<Documents, TantivyError> {
        let mut having = among.none();
        let mut counts = Vec::new();
        for one in groups.iter().flat_map(|terms| in_field(terms, segment, field)) {
            counts.resize(self.searcher.segment_readers()[segment].max_doc() as usize, 0_u8);
            one.each(self.searcher, among, |document| {
                let count = &mut counts[document as usize];
                *count = count.saturating_add(1);
                if usize::from(*count) == at_least {
                    having.insert(document);
                }
            })?;
        }
        Ok(having)
    }

    /// Leaves the documents that others have too, with the sums of both scores.
    pub(super) fn and(&mut self, others: Scores<'_>) {
        retain_common(&mut self.documents, &others.documents);
        for (scores, others) in self.of.iter_mut().zip(others.of) {
            if scores.is_empty() {
                *scores = others;
            } else {
                scores.iter_mut().zip(others).for_each(|(score, other)| *score = score.saturating_add(other));
            }
        }
    }
}

fn in_field(terms: &Terms, segment: usize, field: Field) -> impl Iterator<Item = &Postings> {
    terms.values().flatten().filter(move |one| one.segment == segment && one.field == field)
}
