//! Which pieces of a text match.

use std::{collections::HashSet, ops::Range};

use super::{Analysis, StemCache, Word, words, words::characters};
use crate::Piece;

/// Tells which pieces of a text match a search.
#[derive(Debug)]
pub struct Highlighter {
    pub(crate) analysis: Analysis,
    /// What the search was expanded to.
    pub(crate) terms: HashSet<String>,
}

impl Highlighter {
    /// The ranges of a text that match, in order.
    fn ranges(&self, text: &str) -> Vec<Range<usize>> {
        let mut ranges: Vec<Range<usize>> = Vec::new();
        let mut stems = StemCache::default();
        for placed in words(text) {
            if let Word::Run(_) = placed.word {
                // The characters of a run are words of their own.
                ranges.extend(self.in_run(text, placed.range));
                continue;
            }
            let mut matches = false;
            let mut add = |term: String| matches |= self.terms.contains(&term);
            self.analysis.terms(&placed.word, None, &mut stems, &mut add);
            ranges.extend(matches.then_some(placed.range));
        }
        ranges
    }

    fn in_run(&self, text: &str, run: Range<usize>) -> impl Iterator<Item = Range<usize>> {
        let start = run.start;
        let characters = characters(text.get(run).unwrap_or_default());
        let mut matched: Vec<bool> =
            characters.iter().map(|(c, _)| self.terms.contains(c.encode_utf8(&mut [0; 4]))).collect();
        for (nth, pair) in characters.windows(2).enumerate() {
            if self.terms.contains(&pair.iter().map(|(c, _)| c).collect::<String>()) {
                matched[nth] = true;
                matched[nth + 1] = true;
            }
        }
        let ranges = characters.into_iter().map(move |(_, range)| start + range.start..start + range.end);
        ranges.zip(matched).filter_map(|(range, matched)| matched.then_some(range))
    }

    /// The text in pieces.
    #[must_use]
    pub fn pieces(&self, text: &str) -> Vec<Piece> {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut add = |range: Range<usize>, matched: bool| {
            let piece = text.get(range).unwrap_or_default();
            match pieces.last_mut() {
                _ if piece.is_empty() => {}
                Some(last) if last.matched == matched => last.text.push_str(piece),
                _ => pieces.push(Piece { text: piece.to_owned(), matched }),
            }
        };
        let mut at = 0;
        for range in self.ranges(text) {
            // Two symbols can come of one character.
            let range = range.start.max(at)..range.end.max(at);
            add(at..range.start, false);
            at = range.end;
            add(range, true);
        }
        add(at..text.len(), false);
        pieces
    }
}
