//! One spelling of what reads alike: compatibility forms, case, accents, and characters that show nothing.

use std::ops::Range;

use unicode_normalization::UnicodeNormalization as _;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory as _};
use unicode_segmentation::UnicodeSegmentation as _;

/// A folded text that knows where its parts come from.
pub(super) struct Folded {
    pub(super) text: String,
    /// Where each grapheme cluster starts in the folded text and in the original. Empty where both have the same offsets.
    starts: Vec<(usize, usize)>,
    original_len: usize,
}

impl Folded {
    pub(super) fn new(text: &str) -> Folded {
        if text.is_ascii() {
            return Folded { text: text.to_ascii_lowercase(), starts: Vec::new(), original_len: text.len() };
        }
        let mut folded = String::with_capacity(text.len());
        let mut starts = Vec::with_capacity(text.len());
        for (at, grapheme) in text.grapheme_indices(true) {
            starts.push((folded.len(), at));
            match grapheme.as_bytes() {
                [ascii] => folded.push(ascii.to_ascii_lowercase() as char),
                _ => fold(grapheme, &mut folded),
            }
        }
        Folded { text: folded, starts, original_len: text.len() }
    }

    /// The range of the original that a range of the folded text comes from.
    pub(super) fn original(&self, range: Range<usize>) -> Range<usize> {
        if self.starts.is_empty() {
            return range;
        }
        let first = self.starts.partition_point(|(folded, _)| *folded <= range.start).saturating_sub(1);
        let next = self.starts.partition_point(|(folded, _)| *folded < range.end);
        let end = self.starts.get(next).map_or(self.original_len, |(_, original)| *original);
        self.starts.get(first).map_or(0, |(_, original)| *original)..end
    }
}

fn fold(grapheme: &str, folded: &mut String) {
    let visible = || grapheme.chars().filter(|c| !is_ignorable(*c));
    let Some(first) = visible().next() else { return };
    // A sign for words or for a fraction does not run into what is beside it: 5㎏, 1½.
    let is_apart = if first.general_category_group() == GeneralCategoryGroup::Symbol {
        visible().nfkc().ne(visible())
    } else {
        first.general_category() == GeneralCategory::OtherNumber && visible().nfkc().count() > 1
    };
    if is_apart {
        folded.push(' ');
    }
    let mut loses_marks = false;
    let letters = visible().nfkd().filter(|c| {
        let is_mark = c.general_category_group() == GeneralCategoryGroup::Mark;
        loses_marks = if is_mark { loses_marks } else { is_latin_greek_or_cyrillic(*c) };
        !(is_mark && loses_marks)
    });
    // By way of upper case, so that letters fold that are lower case already: ß, ς.
    let lower = letters.flat_map(|c| {
        c.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase).flat_map(without_stroke)
    });
    let start = folded.len();
    folded.extend(lower.nfkc());
    if folded.get(start..).is_some_and(|left| left.trim().is_empty()) {
        // An accent on its own, such as ´: compatible to a space with a mark.
        folded.push(first);
    }
    if is_apart {
        folded.push(' ');
    }
}

/// Letters with a stroke are no letters with a mark in Unicode, but are typed without it as accents are.
fn without_stroke(c: char) -> impl Iterator<Item = char> {
    let (first, second) = match c {
        'ø' => ('o', None),
        'ł' => ('l', None),
        'đ' => ('d', None),
        'æ' => ('a', Some('e')),
        'œ' => ('o', Some('e')),
        c => (c, None),
    };
    std::iter::once(first).chain(second)
}

fn is_latin_greek_or_cyrillic(c: char) -> bool {
    matches!(u32::from(c), 0..=0x052F | 0x1C80..=0x1C8F | 0x1D00..=0x1FFF | 0x2C60..=0x2C7F
        | 0xA640..=0xA69F | 0xA720..=0xA7FF | 0xAB30..=0xAB6F)
}

/// What Unicode calls default ignorable: joiners, soft hyphens, variation selectors, fillers.
fn is_ignorable(c: char) -> bool {
    matches!(u32::from(c), 0xAD | 0x034F | 0x061C | 0x115F..=0x1160 | 0x17B4..=0x17B5 | 0x180B..=0x180F
        | 0x200B..=0x200F | 0x202A..=0x202E | 0x2060..=0x206F | 0x3164 | 0xFE00..=0xFE0F | 0xFEFF | 0xFFA0
        | 0xFFF0..=0xFFF8 | 0x1BCA0..=0x1BCA3 | 0x1D173..=0x1D17A | 0xE0000..=0xE0FFF)
}
