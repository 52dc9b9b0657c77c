//! Words of a text, by Unicode's rules for word boundaries (UAX #29).

use std::ops::Range;

use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory as _};
use unicode_segmentation::UnicodeSegmentation as _;

use super::fold::Folded;

/// Longer words, in bytes, are in no name and no search.
const LONGEST: usize = 8_192;

/// What a word is made of, folded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// Letters and digits. The parts are those of a word that is written together only by some: `1kg`, `farmer's`.
    Plain { whole: String, parts: Vec<String> },
    /// Characters of a script that is written without spaces, or nearly: any part of it can be a word.
    Run(String),
    /// An emoji or another symbol.
    Symbol(char),
}

/// A word, and where it is in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) word: Word,
    pub(crate) range: Range<usize>,
}

/// The words of a text, in its order.
pub(crate) fn words(text: &str) -> Vec<Placed> {
    let folded = Folded::new(text);
    let mut words = Vec::new();
    let mut add = |word: Word, range: Range<usize>| {
        words.push(Placed { word, range: folded.original(range) });
    };
    let text = folded.text.as_str();
    let mut at = 0;
    while at < text.len() {
        let rest = text.get(at..).unwrap_or_default();
        let is_run = rest.starts_with(is_of_run);
        let end = at + rest.find(|c| is_of_run(c) != is_run).unwrap_or(rest.len());
        let section = text.get(at..end).unwrap_or_default();
        if is_run {
            if section.len() <= LONGEST {
                add(Word::Run(section.to_owned()), at..end);
            }
        } else {
            let mut start = at;
            for chunk in section.split_inclusive(' ') {
                let word = chunk.trim_end_matches([' ', ',', '.']);
                if word.len() <= LONGEST && word.bytes().all(|byte| byte.is_ascii_lowercase()) {
                    // By far the most common, and what the rules make of it.
                    if !word.is_empty() {
                        let whole = word.to_owned();
                        add(Word::Plain { whole, parts: Vec::new() }, start..start + word.len());
                    }
                } else {
                    segments(chunk, start, &mut add);
                }
                start += chunk.len();
            }
        }
        at = end;
    }
    words
}

/// Adds the words of a text without runs that starts at this place.
fn segments(text: &str, start: usize, add: &mut impl FnMut(Word, Range<usize>)) {
    for (at, segment) in text.split_word_bound_indices() {
        let start = start + at;
        if segment.chars().any(char::is_alphanumeric) {
            if segment.len() <= LONGEST {
                add(plain(segment), start..start + segment.len());
            }
        } else {
            for (at, c) in segment.char_indices().filter(|(_, c)| is_symbol(*c)) {
                add(Word::Symbol(c), start + at..start + at + c.len_utf8());
            }
        }
    }
}

/// The words to search for, each once, where it comes last: a word costs the same each time. Signs such as `+` or `€` count only
/// where there is nothing else.
pub(crate) fn searched(text: &str) -> Vec<Placed> {
    let mut words: Vec<Placed> = Vec::new();
    for placed in self::words(text).into_iter().rev() {
        if words.iter().all(|other| other.word != placed.word) {
            words.push(placed);
        }
    }
    words.reverse();
    let is_sign = |placed: &Placed| matches!(placed.word, Word::Symbol(c) if c.general_category() != GeneralCategory::OtherSymbol);
    if !words.iter().all(is_sign) {
        words.retain(|placed| !is_sign(placed));
    }
    words
}

fn plain(segment: &str) -> Word {
    let mut whole = String::with_capacity(segment.len());
    let mut parts: Vec<String> = Vec::new();
    let mut part = String::new();
    let mut was_digit = false;
    let mut chars = segment.chars().peekable();
    while let Some(c) = chars.next() {
        let is_digit = c.is_numeric();
        let is_mark = !c.is_ascii() && c.general_category_group() == GeneralCategoryGroup::Mark;
        let is_inside_number = was_digit && chars.peek().is_some_and(|next| next.is_numeric());
        if !(c.is_alphanumeric() || is_mark || is_inside_number) {
            parts.extend((!part.is_empty()).then(|| std::mem::take(&mut part)));
            continue;
        }
        if c.is_alphanumeric() {
            if is_digit != was_digit && !part.is_empty() {
                parts.push(std::mem::take(&mut part));
            }
            was_digit = is_digit;
        }
        part.push(c);
        whole.push(c);
    }
    parts.extend((!part.is_empty()).then_some(part));
    if parts.len() == 1 {
        parts.clear();
    }
    Word::Plain { whole, parts }
}

fn is_symbol(c: char) -> bool {
    c.general_category_group() == GeneralCategoryGroup::Symbol
}

/// Thai, Lao, Myanmar, Khmer and their relatives, Han, kana, bopomofo, hangul.
fn is_of_run(c: char) -> bool {
    use GeneralCategory::{
        EnclosingMark, LetterNumber, ModifierLetter, NonspacingMark, OtherLetter, SpacingMark,
    };
    let is_in_block = matches!(u32::from(c), 0x0E01..=0x0EFF | 0x1000..=0x109F | 0x1100..=0x11FF
        | 0x1780..=0x17FF | 0x1950..=0x19FF | 0x1A20..=0x1AAF | 0x2E80..=0x2FDF | 0x3005..=0x3007
        | 0x3021..=0x3029 | 0x3041..=0x31FF | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xA960..=0xA97F
        | 0xA9E0..=0xA9FF | 0xAA60..=0xAADF | 0xAC00..=0xD7FF | 0xF900..=0xFAFF | 0x1AFF0..=0x1B16F
        | 0x20000..=0x3FFFF);
    is_in_block
        && matches!(
            c.general_category(),
            OtherLetter | ModifierLetter | LetterNumber | NonspacingMark | SpacingMark | EnclosingMark
        )
}

/// Each two neighbours of a run, or its only character.
pub(crate) fn pairs(run: &str) -> Vec<&str> {
    let starts: Vec<usize> = run.char_indices().map(|(at, _)| at).chain([run.len()]).collect();
    if starts.len() <= 2 {
        return vec![run];
    }
    starts.windows(3).filter_map(|at| run.get(at[0]..at[2])).collect()
}

/// The folded characters of a text, and where each comes from.
pub(super) fn characters(text: &str) -> Vec<(char, Range<usize>)> {
    let folded = Folded::new(text);
    let of = |(at, c): (usize, char)| (c, folded.original(at..at + c.len_utf8()));
    folded.text.char_indices().map(of).collect()
}
