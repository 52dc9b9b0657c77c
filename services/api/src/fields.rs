//! The fields of a JSON body, read one by one: what is wrong is gathered and named.

use std::ops::RangeInclusive;

use farmlokal_catalog::{Draft, InvalidText, MAX_PRODUCT_ID, Patch, normalized};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::object::{Members, object};
use crate::problem::InvalidParam;
use crate::query::{Invalid, MAX_REPORTED, price};

/// What is named at the most: each operation of a batch, and more.
const MAX_NAMED: usize = 4_000;

/// What is wrong so far.
#[derive(Default)]
pub(crate) struct Fields(Vec<InvalidParam>);

impl Fields {
    /// What was read; what was not is remembered.
    pub(crate) fn keep<T>(&mut self, name: &str, read: Result<T, Invalid>) -> Option<T> {
        read.map_err(|(code, detail)| self.refuse(name, code, detail)).ok()
    }

    /// Remembers what is wrong. The answer must not be much larger than the request.
    pub(crate) fn refuse(&mut self, name: &str, code: &'static str, detail: impl Into<String>) {
        if self.0.len() < MAX_NAMED {
            self.0.push(InvalidParam::new(name, code, detail));
        }
    }

    /// Reads a member that must be there, once. `prefix` comes before its name in what is said about it.
    pub(crate) fn read<'b, T>(
        &mut self,
        members: &Members<'b>,
        prefix: &str,
        name: &str,
        read: impl FnOnce(&'b RawValue) -> Result<T, Invalid>,
    ) -> Option<T> {
        let missing = || Err(("missing", "must be there".to_owned()));
        let value = member(members, name, read).unwrap_or_else(missing);
        self.keep(&format!("{prefix}{name}"), value)
    }

    /// As [`Fields::read`], for a member that may be absent.
    pub(crate) fn read_optional<'b, T>(
        &mut self,
        members: &Members<'b>,
        prefix: &str,
        name: &str,
        read: impl FnOnce(&'b RawValue) -> Result<T, Invalid>,
    ) -> Option<T> {
        self.keep(&format!("{prefix}{name}"), member(members, name, read)?)
    }

    /// Names members that are not among `known`, 32 at the most.
    pub(crate) fn require_known(&mut self, members: &Members<'_>, prefix: &str, known: &[&str]) {
        for name in members.names().filter(|name| !known.contains(name)).take(MAX_REPORTED) {
            let detail = format!("must be one of {}", known.join(", "));
            self.refuse(&format!("{prefix}{name}"), "unknown_field", detail);
        }
    }

    /// A whole product.
    pub(crate) fn draft(&mut self, members: &Members<'_>, prefix: &str) -> Option<Draft> {
        let name = self.read(members, prefix, "name", name);
        let description = self.read(members, prefix, "description", description);
        let category = self.read(members, prefix, "category", category);
        let price = self.read(members, prefix, "price", |raw| price(raw.get()));
        Some(Draft { name: name?, description: description?, category: category?, price: price? })
    }

    /// Some fields of a product. None of them can be removed, so null is no value.
    pub(crate) fn patch(&mut self, members: &Members<'_>, prefix: &str) -> Patch {
        Patch {
            name: self.read_optional(members, prefix, "name", name),
            description: self.read_optional(members, prefix, "description", description),
            category: self.read_optional(members, prefix, "category", category),
            price: self.read_optional(members, prefix, "price", |raw| price(raw.get())),
        }
    }

    /// What was read, if nothing is wrong.
    pub(crate) fn finish<T>(self, read: Option<T>) -> Result<T, Vec<InvalidParam>> {
        read.filter(|_| self.0.is_empty()).ok_or(self.0)
    }
}

/// The members of a body.
///
/// # Errors
/// The body is not a JSON object; the parser's reason is told.
pub(crate) fn body(bytes: &[u8]) -> Result<Members<'_>, Vec<InvalidParam>> {
    object(bytes).map_err(|error| {
        vec![InvalidParam::new("body", "malformed", format!("must be a JSON object: {error}"))]
    })
}

/// The members of an object in a body.
///
/// # Errors
/// `malformed`.
pub(crate) fn members(raw: &RawValue) -> Result<Members<'_>, Invalid> {
    object(raw.get().as_bytes()).map_err(|_| ("malformed", "must be an object".to_owned()))
}

/// The value of a member that is there once; `None` where it is absent.
fn member<'b, T>(
    members: &Members<'b>,
    name: &str,
    read: impl FnOnce(&'b RawValue) -> Result<T, Invalid>,
) -> Option<Result<T, Invalid>> {
    let mut values = members.all(name);
    match (values.next()?, values.next()) {
        (value, None) => Some(read(value)),
        (_, Some(_)) => Some(Err(("repeated", "must be there once".to_owned()))),
    }
}

fn name(raw: &RawValue) -> Result<String, Invalid> {
    text(raw, 1..=255)
}

fn description(raw: &RawValue) -> Result<String, Invalid> {
    text(raw, 0..=1000)
}

fn category(raw: &RawValue) -> Result<String, Invalid> {
    text(raw, 1..=64)
}

/// Any value.
///
/// # Errors
/// `malformed`, with this detail.
pub(crate) fn json<'b, T: Deserialize<'b>>(raw: &'b RawValue, detail: &str) -> Result<T, Invalid> {
    serde_json::from_str(raw.get()).map_err(|_| ("malformed", detail.to_owned()))
}

/// A text as it is stored, of so many characters.
fn text(raw: &RawValue, lengths: RangeInclusive<usize>) -> Result<String, Invalid> {
    let text: String = json(raw, "must be a text")?;
    match normalized(&text, *lengths.end()) {
        Ok(text) if text.is_empty() && *lengths.start() > 0 => {
            Err(("malformed", InvalidText::Empty.to_string()))
        }
        Ok(text) => Ok(text),
        Err(error @ InvalidText::TooLong(_)) => Err(("too_long", error.to_string())),
        Err(error) => Err(("malformed", error.to_string())),
    }
}

/// The id of a product.
///
/// # Errors
/// `malformed`.
pub(crate) fn product_id(raw: &RawValue) -> Result<u64, Invalid> {
    let id = json(raw, "").ok().filter(|id| (1..=MAX_PRODUCT_ID).contains(id));
    id.ok_or_else(|| ("malformed", format!("must be a whole number from 1 to {MAX_PRODUCT_ID}")))
}
