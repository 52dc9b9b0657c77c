//! Which documents match, and how much each counts: one number for each document of a segment.

use std::collections::BTreeMap;

use tantivy::{Searcher, TantivyError, schema::Field};

use super::dictionary::Postings;

/// What each document counts, by segment: 0 where it does not match, and nothing at all for a segment in which none does.
pub(super) struct Scores(Vec<Vec<u16>>);

impl Scores {
    /// No document matches.
    pub(super) fn none(searcher: &Searcher) -> Scores {
        Scores(vec![Vec::new(); searcher.segment_readers().len()])
    }

    /// Documents with one of these terms count so much, if they do not count more already.
    pub(super) fn raise<'p>(
        &mut self,
        searcher: &Searcher,
        postings: impl IntoIterator<Item = &'p Postings>,
        weight: impl Fn(Field) -> u16,
    ) -> Result<(), TantivyError> {
        for one in postings {
            let (scores, weight) = (self.of_segment(searcher, one.segment), weight(one.field));
            one.each_block(searcher, |documents| {
                for document in documents {
                    let score = &mut scores[*document as usize];
                    *score = weight.max(*score);
                }
            })?;
        }
        Ok(())
    }

    /// The same for documents that have terms of at least so many groups, all in one field.
    pub(super) fn raise_all<'p, P: IntoIterator<Item = &'p Postings>>(
        &mut self,
        searcher: &Searcher,
        groups: impl ExactSizeIterator<Item = P>,
        at_least: usize,
        weight: impl Fn(Field) -> u16,
    ) -> Result<(), TantivyError> {
        let mut counts: BTreeMap<(usize, Field), Vec<u16>> = BTreeMap::new();
        let all = at_least == groups.len();
        for (nth, group) in groups.enumerate() {
            for one in group {
                let size = searcher.segment_readers()[one.segment].max_doc() as usize;
                let counts = counts.entry((one.segment, one.field)).or_insert_with(|| vec![0; size]);
                one.each_block(searcher, |documents| {
                    for document in documents {
                        let count = &mut counts[*document as usize];
                        // A document may have several terms of a group, where all groups are needed.
                        *count += u16::from(!all || usize::from(*count) == nth);
                    }
                })?;
            }
        }
        for ((segment, field), counts) in counts {
            let (scores, weight) = (self.of_segment(searcher, segment), weight(field));
            for (score, count) in scores.iter_mut().zip(counts) {
                if usize::from(count) >= at_least {
                    *score = weight.max(*score);
                }
            }
        }
        Ok(())
    }

    /// What the documents of a segment count.
    pub(super) fn of(&self, segment: usize) -> &[u16] {
        &self.0[segment]
    }

    fn of_segment(&mut self, searcher: &Searcher, segment: usize) -> &mut Vec<u16> {
        let scores = &mut self.0[segment];
        scores.resize(searcher.segment_readers()[segment].max_doc() as usize, 0);
        scores
    }

    /// Documents that match both count what they count in both.
    pub(super) fn and(mut self, Scores(other): &Scores) -> Scores {
        for (scores, other) in self.0.iter_mut().zip(other) {
            // Nothing at all where the other has nothing.
            scores.truncate(other.len());
            for (score, other) in scores.iter_mut().zip(other) {
                *score = if *score == 0 || *other == 0 { 0 } else { score.saturating_add(*other) };
            }
        }
        self
    }
}
