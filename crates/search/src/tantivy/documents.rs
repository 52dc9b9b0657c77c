//! Sets of a segment's documents, with a bit for each.

use std::ops::Range;

use tantivy::{BitSet, DocId, SegmentReader};

/// Documents of a segment, 64 to a number.
#[derive(Clone)]
pub(super) struct Documents(Vec<u64>);

impl Documents {
    /// Those that were not removed.
    pub(super) fn existing(segment: &SegmentReader) -> Documents {
        let mut all = BitSet::with_max_value_and_full(segment.max_doc());
        if let Some(alive) = segment.alive_bitset() {
            all.intersect_update(alive.bitset());
        }
        let bits = |nth| u64::from_le_bytes(all.tinyset(nth).into_bytes());
        Documents((0..segment.max_doc().div_ceil(64)).map(bits).collect())
    }

    /// Leaves those that count something.
    pub(super) fn retain_scored(&mut self, scores: &[u16]) {
        let counting = scores.chunks(64).map(|scores| {
            // Most often none of the 64 does, which is seen at once.
            if scores.iter().fold(0, |all, score| all | score) == 0 {
                return 0;
            }
            (0..).zip(scores).fold(0, |bits, (nth, score)| bits | u64::from(*score != 0) << nth)
        });
        let counting = counting.chain(std::iter::repeat(0));
        self.0.iter_mut().zip(counting).for_each(|(bits, counting)| *bits &= counting);
    }

    pub(super) fn has(&self, document: DocId) -> bool {
        self.0[document as usize / 64] >> (document % 64) & 1 == 1
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|bits| *bits == 0)
    }

    /// How many of them are in a range.
    pub(super) fn count(&self, range: Range<DocId>) -> u64 {
        self.blocks(range).map(|(_, bits)| u64::from(bits.count_ones())).sum()
    }

    /// Those in a range.
    pub(super) fn of(&self, range: Range<DocId>) -> impl DoubleEndedIterator<Item = DocId> {
        let documents =
            |(start, bits)| (0..64).filter(move |nth| bits >> nth & 1 == 1).map(move |nth| start + nth);
        self.blocks(range).flat_map(documents)
    }

    /// Those in a range: the first document of each 64 that have any, and the bits of these.
    pub(super) fn blocks(&self, range: Range<DocId>) -> impl DoubleEndedIterator<Item = (DocId, u64)> {
        let block = move |nth: DocId| {
            let start = nth * 64;
            let before = range.start.saturating_sub(start).min(63);
            let within = range.end.saturating_sub(start).min(64);
            let bits = self.0[nth as usize] >> before << before;
            (start, if within == 64 { bits } else { bits & ((1 << within) - 1) })
        };
        (range.start / 64..range.end.div_ceil(64)).map(block).filter(|(_, bits)| *bits != 0)
    }
}

/// The places of the documents of a [block](Documents::blocks).
pub(super) fn places(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = (bits != 0).then(|| bits.trailing_zeros() as usize)?;
        bits &= bits - 1;
        Some(place)
    })
}
