//! Sets of a segment's documents, with a bit for each.

use std::ops::Range;

use tantivy::{BitSet, DocId, SegmentReader};

/// Documents of a segment, 64 to a number, and how many they are.
#[derive(Clone)]
pub(super) struct Documents {
    bits: Vec<u64>,
    len: u32,
}

impl Documents {
    fn new(bits: Vec<u64>) -> Documents {
        Documents { len: bits.iter().map(|bits| bits.count_ones()).sum(), bits }
    }

    /// Those that were not removed.
    pub(super) fn existing(segment: &SegmentReader) -> Documents {
        let mut all = BitSet::with_max_value_and_full(segment.max_doc());
        if let Some(alive) = segment.alive_bitset() {
            all.intersect_update(alive.bitset());
        }
        let bits = |nth| u64::from_le_bytes(all.tinyset(nth).into_bytes());
        Documents::new((0..segment.max_doc().div_ceil(64)).map(bits).collect())
    }

    /// None, of the same segment.
    pub(super) fn none(&self) -> Documents {
        Documents { bits: vec![0; self.bits.len()], len: 0 }
    }

    /// Adds a document. Whether it is new.
    pub(super) fn insert(&mut self, document: DocId) -> bool {
        let bits = &mut self.bits[document as usize / 64];
        let is_new = *bits >> (document % 64) & 1 == 0;
        self.len += u32::from(is_new);
        *bits |= 1 << (document % 64);
        is_new
    }

    /// Leaves those that are among others of the same segment, too.
    pub(super) fn retain(&mut self, others: &Documents) {
        *self =
            Documents::new(self.bits.iter().zip(&others.bits).map(|(bits, others)| bits & others).collect());
    }

    pub(super) fn has(&self, document: DocId) -> bool {
        self.bits[document as usize / 64] >> (document % 64) & 1 == 1
    }

    pub(super) fn len(&self) -> u32 {
        self.len
    }

    /// How many of them are in a range.
    pub(super) fn count(&self, range: Range<DocId>) -> u64 {
        self.blocks(range).map(|(_, bits)| u64::from(bits.count_ones())).sum()
    }

    /// Those in a range.
    pub(super) fn within(&self, range: Range<DocId>) -> impl DoubleEndedIterator<Item = DocId> {
        let documents =
            |(start, bits)| (0..64).filter(move |nth| bits >> nth & 1 == 1).map(move |nth| start + nth);
        self.blocks(range).flat_map(documents)
    }

    /// All of them.
    pub(super) fn all(&self) -> impl DoubleEndedIterator<Item = DocId> {
        self.within(0..DocId::MAX)
    }

    /// Those in a range: the first document of each 64 that have any, and the bits of these.
    pub(super) fn blocks(&self, range: Range<DocId>) -> impl DoubleEndedIterator<Item = (DocId, u64)> {
        let block = move |nth: DocId| {
            let start = nth * 64;
            let before = range.start.saturating_sub(start).min(63);
            let within = range.end.saturating_sub(start).min(64);
            let bits = self.bits[nth as usize] >> before << before;
            (start, if within == 64 { bits } else { bits & ((1 << within) - 1) })
        };
        let end = range.end.div_ceil(64).min(u32::try_from(self.bits.len()).unwrap_or(u32::MAX));
        (range.start / 64..end).map(block).filter(|(_, bits)| *bits != 0)
    }
}

/// Leaves those that are among others too, in each segment.
pub(super) fn retain_common(documents: &mut [Documents], others: &[Documents]) {
    documents.iter_mut().zip(others).for_each(|(documents, others)| documents.retain(others));
}

/// Whether there is any document in any segment.
pub(super) fn any(documents: &[Documents]) -> bool {
    documents.iter().any(|documents| documents.len() > 0)
}

/// The places of the documents of a [block](Documents::blocks).
pub(super) fn places(mut bits: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let place = (bits != 0).then(|| bits.trailing_zeros())?;
        bits &= bits - 1;
        Some(place)
    })
}
