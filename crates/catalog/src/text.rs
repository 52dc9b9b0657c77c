//! Texts that are stored: one spelling of what Unicode calls equal, and something to see in it.

use unicode_normalization::UnicodeNormalization as _;
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory as _};

/// Why a text cannot be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidText {
    /// Nothing but white space, where something is needed.
    #[error("must not be empty")]
    Empty,
    /// More characters than the column has, counted after normalisation.
    #[error("must have at most {0} characters")]
    TooLong(usize),
    /// A control character, line breaks and tabs among them.
    #[error("must not contain control characters")]
    Control,
    /// Characters, but none that can be seen.
    #[error("must contain a visible character")]
    Invisible,
}

/// The text as it is stored and compared: normalised to NFC, without white space around it, of at most `max_chars`
/// characters (Unicode scalar values, as the columns count them). Empty text stays empty.
///
/// # Errors
/// A text that is too long, has control characters, or has characters of which none can be seen.
pub fn normalized(text: &str, max_chars: usize) -> Result<String, InvalidText> {
    let text: String = text.trim().nfc().collect();
    if text.chars().any(char::is_control) {
        return Err(InvalidText::Control);
    }
    if text.chars().count() > max_chars {
        return Err(InvalidText::TooLong(max_chars));
    }
    if !text.is_empty() && !text.chars().any(is_visible) {
        return Err(InvalidText::Invisible);
    }
    Ok(text)
}

/// Marks need another character to be seen on. The fillers of Hangul are letters, and the empty Braille pattern is a symbol,
/// but they show nothing.
fn is_visible(c: char) -> bool {
    use GeneralCategoryGroup::{Letter, Number, Punctuation, Symbol};
    let is_blank = matches!(c, '\u{115F}' | '\u{1160}' | '\u{3164}' | '\u{FFA0}' | '\u{2800}');
    !is_blank && matches!(c.general_category_group(), Letter | Number | Punctuation | Symbol)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_become_one() {
        for (text, stored) in [
            ("  Käse ", "Käse"),
            ("Ka\u{308}se", "K\u{e4}se"),
            ("\u{a0}\u{3000}x\u{2003}", "x"),
            ("\u{212B}", "\u{c5}"),
            ("\u{1100}\u{1161}", "\u{ac00}"),
            // Compatible is not equal.
            ("ﬁg 1½", "ﬁg 1½"),
            // What joins letters and emoji is part of the text.
            ("क\u{94d}\u{200d}ष 👨\u{200d}🌾", "क\u{94d}\u{200d}ष 👨\u{200d}🌾"),
            ("", ""),
            (" \t\n ", ""),
        ] {
            assert_eq!(normalized(text, 255).as_deref(), Ok(stored), "{text:?}");
        }
    }

    #[test]
    fn control_characters_are_refused() {
        for text in ["a\0b", "a\nb", "a\tb", "a\u{7f}", "a\u{85}b", "\u{1b}[1mred"] {
            assert_eq!(normalized(text, 255), Err(InvalidText::Control), "{text:?}");
        }
    }

    #[test]
    fn what_nobody_can_see_is_refused() {
        for text in [
            "\u{200b}",
            "\u{200b} \u{2060}",
            "\u{feff}",
            "\u{202e}\u{202c}",
            "\u{3164}",
            "\u{2800}",
            "\u{301}",
            "\u{e000}",
        ] {
            assert_eq!(normalized(text, 255), Err(InvalidText::Invisible), "{text:?}");
        }
        for text in ["-", "7", "€", "é", "🍅", "꙳"] {
            assert_eq!(normalized(text, 255).as_deref(), Ok(text));
        }
    }

    #[test]
    fn length_is_counted_in_characters_after_normalisation() {
        assert_eq!(normalized(&"e\u{301}".repeat(64), 64), Ok("é".repeat(64)));
        assert_eq!(normalized(&"é".repeat(65), 64), Err(InvalidText::TooLong(64)));
        assert_eq!(normalized(&format!(" {} ", "🍅".repeat(64)), 64), Ok("🍅".repeat(64)));
        // This one becomes three.
        assert_eq!(normalized(&"\u{fb2c}".repeat(2), 5), Err(InvalidText::TooLong(5)));
    }
}
