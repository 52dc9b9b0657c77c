//! Words: how a text and a search are split, so that both sides always agree.
//!
//! `InnoDB`'s full-text parser takes runs of letters, digits and underscores as words, and silently drops those that
//! are shorter than three characters, longer than 84, or on its stopword list. Those are kept in the column
//! `short_words` in a form that it does index: padded with underscores, or cut.

use std::collections::BTreeSet;

/// The parser's `innodb_ft_min_token_size` and `innodb_ft_max_token_size`, in characters (the servers' defaults).
const INDEXED_LENGTHS: std::ops::RangeInclusive<usize> = 3..=84;

/// The servers' `INFORMATION_SCHEMA.INNODB_FT_DEFAULT_STOPWORD` from three characters up; shorter ones are padded anyway.
const STOPWORDS: [&str; 18] = [
    "about", "are", "com", "for", "from", "how", "that", "the", "this", "und", "was", "what", "when",
    "where", "who", "will", "with", "www",
];

/// The longest stopword. The parser compares stopwords by the collation, so `thé` is one too: a word this short with
/// letters beyond ASCII may be a stopword.
const LONGEST_STOPWORD: usize = 5;

/// What the full-text parser takes as part of a word, in both servers: combining accents too, and nothing beyond the
/// basic plane. Some letters that Unicode added after 5.2 split words there; no search becomes invalid by that.
fn is_word_character(character: char) -> bool {
    match character {
        '_' | '\u{300}'..='\u{36F}' => true,
        _ => character <= '\u{FFFF}' && character.is_alphanumeric(),
    }
}

/// The words of a text in lower case, without the underscores around them.
pub(crate) fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|character| !is_word_character(character))
        .map(|word| word.trim_matches('_').to_lowercase())
        .filter(|word| !word.is_empty())
}

/// How a word is found in the index.
#[derive(Debug, PartialEq, Eq)]
enum Form {
    /// As it stands.
    Plain,
    /// As this entry of `short_words`.
    Special(String),
    /// Either way: it may equal a stopword by the collation.
    Either(String),
}

fn form(word: &str) -> Form {
    let length = word.chars().count();
    let padded = || format!("{word}{:_<1$}", "_", 3_usize.saturating_sub(length).max(1));
    if length < *INDEXED_LENGTHS.start() || STOPWORDS.contains(&word) {
        Form::Special(padded())
    } else if length > *INDEXED_LENGTHS.end() {
        Form::Special(word.chars().take(*INDEXED_LENGTHS.end()).collect())
    } else if length <= LONGEST_STOPWORD && !word.is_ascii() {
        Form::Either(padded())
    } else {
        Form::Plain
    }
}

/// The value of the column `short_words` for a product: what the full-text parser would not index of its name and
/// description. Every writer stores it; it fits `VARCHAR(3000)`.
#[must_use]
pub fn short_words(name: &str, description: &str) -> String {
    let mut kept = BTreeSet::new();
    for text in [name, description] {
        for raw in text.split(|character| !is_word_character(character)) {
            let word = raw.trim_matches('_').to_lowercase();
            if word.is_empty() {
                continue;
            }
            match form(&word) {
                Form::Special(entry) | Form::Either(entry) => {
                    kept.insert(entry);
                }
                // The parser keeps underscores around a word as part of it.
                Form::Plain if raw.len() != word.len() => {
                    kept.insert(word);
                }
                Form::Plain => {}
            }
        }
    }
    let mut column = String::new();
    for entry in kept {
        if !column.is_empty() {
            column.push(' ');
        }
        column.push_str(&entry);
    }
    column
}

/// The boolean full-text expression that a product matches if it has all the words.
pub(crate) fn expression(words: &[String]) -> String {
    let terms = words.iter().map(|word| match form(word) {
        Form::Plain => format!("+{word}"),
        Form::Special(entry) => format!("+{entry}"),
        Form::Either(entry) => format!("+({word} {entry})"),
    });
    terms.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expression_of(text: &str) -> String {
        expression(&words(text).collect::<Vec<_>>())
    }

    #[test]
    fn splits_at_everything_that_is_no_letter_digit_or_underscore() {
        let split: Vec<_> = words("O'Brien's half-fat 2L \"Crème\" 🍏ball+snake_case __x__ ___").collect();
        assert_eq!(split, ["o", "brien", "s", "half", "fat", "2l", "crème", "ball", "snake_case", "x"]);
    }

    #[test]
    fn keeps_what_the_parser_drops() {
        assert_eq!(short_words("Jersey XL", "The best, for 2L of it"), "2l_ for_ it_ of_ the_ xl_");
        assert_eq!(short_words("a _private_ thé", ""), "a__ private thé_");
        assert_eq!(short_words("ordinary words", "only"), "");
        assert_eq!(short_words(&"x".repeat(90), ""), "x".repeat(84));
    }

    #[test]
    fn never_lets_an_operator_through() {
        assert_eq!(expression_of("+the -XL* \"(ball)\" ~@>< %"), "+the_ +xl_ +ball");
        assert_eq!(expression_of("thé café"), "+(thé thé_) +(café café_)");
    }

    #[test]
    fn fits_the_column_in_the_worst_case() {
        let pairs = (0..1255 / 3).map(|n| format!("{:02x}", n % 256)).collect::<Vec<_>>().join(" ");
        let accented = (0..1255 / 5).map(|n| format!("é{n:03}")).collect::<Vec<_>>().join(" ");
        for text in [pairs, accented] {
            assert!(short_words(&text, "").chars().count() <= 3000);
        }
    }
}
