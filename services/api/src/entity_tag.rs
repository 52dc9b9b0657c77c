//! Entity tags: what `ETag` says, and what `If-Match` and `If-None-Match` are held against.

use axum::http::HeaderValue;
use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_128;

use crate::encoding::Encoding;

/// The strong tag of a document. In a content coding the document has other bytes, and so the coding's name at the end of
/// its tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EntityTag(HeaderValue);

/// How tags are compared: <https://www.rfc-editor.org/rfc/rfc9110#section-8.8.3.2>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// A weak tag is equal to none. For `If-Match`.
    Strong,
    /// For `If-None-Match`.
    Weak,
}

impl EntityTag {
    /// The tag of the document with these bytes, which are not in any coding.
    pub(crate) fn of(body: &[u8]) -> EntityTag {
        header(format!("\"{:032x}\"", xxh3_128(body)))
    }

    /// The tag of the same document in this coding.
    pub(crate) fn in_coding(&self, coding: Encoding) -> EntityTag {
        header(format!("\"{}-{}\"", self.opaque(), coding.name()))
    }

    /// The value of the `ETag` header.
    pub(crate) fn header(&self) -> HeaderValue {
        self.0.clone()
    }

    /// The value of the `ETag` header as text.
    pub(crate) fn as_str(&self) -> &str {
        // It was made from text.
        self.0.to_str().unwrap_or_default()
    }

    fn opaque(&self) -> &str {
        self.as_str().trim_matches('"')
    }

    /// The tag of this document that the value of an `If-Match` or `If-None-Match` header has, in any coding; `*` has all. Among
    /// tags it is no list: then nothing is done.
    pub(crate) fn found_in(&self, value: &[u8], comparison: Comparison) -> Option<EntityTag> {
        if value.trim_ascii() == b"*" {
            return Some(self.clone());
        }
        value.split(|byte| *byte == b',').find_map(|tag| self.named_by(tag.trim_ascii(), comparison))
    }

    fn named_by(&self, tag: &[u8], comparison: Comparison) -> Option<EntityTag> {
        if tag == b"*" {
            return (comparison == Comparison::Weak).then(|| self.clone());
        }
        let tag = match tag.strip_prefix(b"W/") {
            Some(_) if comparison == Comparison::Strong => return None,
            opaque => opaque.unwrap_or(tag),
        };
        let coding = tag.strip_prefix(b"\"")?.strip_suffix(b"\"")?.strip_prefix(self.opaque().as_bytes())?;
        if coding.is_empty() {
            return Some(self.clone());
        }
        let name = coding.strip_prefix(b"-")?;
        let coding = Encoding::ALL.into_iter().find(|coding| coding.name().as_bytes() == name)?;
        Some(self.in_coding(coding))
    }
}

fn header(tag: String) -> EntityTag {
    // ASCII.
    EntityTag(
        HeaderValue::from_maybe_shared(Bytes::from(tag)).unwrap_or_else(|_| HeaderValue::from_static("\"\"")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_in_every_coding_and_weak_ones_only_where_that_will_do() {
        let tag = EntityTag::of(b"{}");
        let text = tag.as_str().to_owned();
        let (gzip, other) = (tag.in_coding(Encoding::Gzip), EntityTag::of(b"{ }"));
        assert_ne!(tag, other);
        let found = |value: &str, comparison| tag.found_in(value.as_bytes(), comparison);
        for (value, strong, weak) in [
            (text.clone(), Some(&tag), Some(&tag)),
            (format!("W/{text}"), None, Some(&tag)),
            (format!("\"x\" ,{text}"), Some(&tag), Some(&tag)),
            (gzip.as_str().to_owned(), Some(&gzip), Some(&gzip)),
            (format!("W/{}", gzip.as_str()), None, Some(&gzip)),
            (" * ".to_owned(), Some(&tag), Some(&tag)),
            ("\"a,*,b\"".to_owned(), None, Some(&tag)),
            ("\"x\", *".to_owned(), None, Some(&tag)),
            (other.as_str().to_owned(), None, None),
            (text.replace('"', ""), None, None),
            (text.trim_end_matches('"').to_owned() + "-lzma\"", None, None),
            (text.trim_end_matches('"').to_owned() + "x\"", None, None),
            (String::new(), None, None),
            ("\"".to_owned(), None, None),
        ] {
            assert_eq!(found(&value, Comparison::Strong).as_ref(), strong, "{value}");
            assert_eq!(found(&value, Comparison::Weak).as_ref(), weak, "{value}");
        }
    }
}
