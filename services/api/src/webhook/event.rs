//! The body of an event, read and checked.

use std::time::Duration;

use axum::http::HeaderMap;
use chrono::{DateTime, Utc};
use farmlokal_catalog::{Change, Event, Price};
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::signature;
use crate::problem::InvalidParam;

const X_EVENT_ID: &str = "x-event-id";

/// Within these an event's time must be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) now: DateTime<Utc>,
    /// How old it may be.
    pub(super) retention: Duration,
    /// How far in the future, for clocks that differ.
    pub(super) tolerance: Duration,
}

#[derive(Deserialize)]
struct Envelope<'b> {
    #[serde(rename = "eventId", borrow)]
    event_id: Option<&'b RawValue>,
    #[serde(borrow)]
    r#type: Option<&'b RawValue>,
    #[serde(rename = "occurredAt", borrow)]
    occurred_at: Option<&'b RawValue>,
    #[serde(borrow)]
    data: Option<&'b RawValue>,
}

#[derive(Default, Deserialize)]
struct Data<'b> {
    #[serde(borrow)]
    id: Option<&'b RawValue>,
    #[serde(borrow)]
    name: Option<&'b RawValue>,
    #[serde(borrow)]
    description: Option<&'b RawValue>,
    #[serde(borrow)]
    category: Option<&'b RawValue>,
    #[serde(borrow)]
    price: Option<&'b RawValue>,
}

/// Reads an event. Members that we do not know are left alone, so that a partner can add some.
///
/// # Errors
/// Every field that is missing or wrong; headers and the body as a whole are named like fields.
pub(super) fn parse(headers: &HeaderMap, body: &[u8], times: Times) -> Result<Event, Vec<InvalidParam>> {
    let envelope: Envelope<'_> = serde_json::from_slice(body)
        .map_err(|error| vec![wrong("body", "malformed", format!("must be a JSON object: {error}"))])?;
    let mut fields = Fields(Vec::new());
    let id = event_id(&mut fields, headers, envelope.event_id);
    let occurred_at = fields.occurred_at(envelope.occurred_at, times);
    let data = fields.data(envelope.data);
    let product = fields.read(data.id, "data.id", product_id);
    let kind = fields.read(envelope.r#type, "type", |raw| text(raw, 1..=64));
    let change = match kind.as_deref() {
        None => None,
        Some("product.upserted") => {
            let name = fields.read(data.name, "data.name", |raw| text(raw, 1..=255));
            let description = fields.read(data.description, "data.description", |raw| text(raw, 0..=1000));
            let category = fields.read(data.category, "data.category", |raw| text(raw, 1..=64));
            let price = fields.read(data.price, "data.price", price);
            match (name, description, category, price) {
                (Some(name), Some(description), Some(category), Some(price)) => {
                    Some(Change::Upsert { name, description, category, price })
                }
                _ => None,
            }
        }
        Some("product.price_changed") => {
            fields.read(data.price, "data.price", price).map(Change::PriceChange)
        }
        Some("product.deleted") => Some(Change::Delete),
        Some(_) => {
            let types = "must be product.upserted, product.price_changed or product.deleted";
            fields.0.push(wrong("type", "unknown_type", types));
            None
        }
    };
    match (id, product, occurred_at, change) {
        (Some(id), Some(product), Some(occurred_at), Some(change)) if fields.0.is_empty() => {
            Ok(Event { id, product, occurred_at, change, payload_hash: Sha256::digest(body).into() })
        }
        _ => Err(fields.0),
    }
}

fn wrong(name: &str, code: &'static str, detail: impl Into<String>) -> InvalidParam {
    InvalidParam { name: name.to_owned(), code, detail: detail.into() }
}

/// What is wrong so far.
struct Fields(Vec<InvalidParam>);

/// A code and a text for a field that is wrong.
type Wrong = (&'static str, String);

impl Fields {
    fn keep<T>(&mut self, name: &str, read: Result<T, Wrong>) -> Option<T> {
        read.map_err(|(code, detail)| self.0.push(wrong(name, code, detail))).ok()
    }

    fn read<T>(
        &mut self,
        raw: Option<&RawValue>,
        name: &str,
        read: impl FnOnce(&RawValue) -> Result<T, Wrong>,
    ) -> Option<T> {
        let result = raw.ok_or_else(|| ("missing", "must be there".to_owned())).and_then(read);
        self.keep(name, result)
    }

    fn data<'b>(&mut self, raw: Option<&'b RawValue>) -> Data<'b> {
        let object = |raw: &'b RawValue| {
            serde_json::from_str(raw.get())
                .map_err(|_| ("malformed", "must be an object, no member twice".into()))
        };
        let read = raw.ok_or_else(|| ("missing", "must be there".to_owned())).and_then(object);
        self.keep("data", read).unwrap_or_default()
    }

    fn occurred_at(&mut self, raw: Option<&RawValue>, times: Times) -> Option<DateTime<Utc>> {
        self.read(raw, "occurredAt", |raw| {
            let text: String = json(raw, "must be a text")?;
            let time = DateTime::parse_from_rfc3339(&text)
                .map_err(|_| {
                    ("malformed", "must be a time of RFC 3339, such as 2025-03-01T09:30:00.120Z".into())
                })?
                .to_utc();
            let age = times.now.signed_duration_since(time);
            if age.to_std().is_ok_and(|age| age > times.retention) {
                return Err((
                    "out_of_range",
                    "is too long ago: newer changes may be forgotten by now".into(),
                ));
            }
            if (-age).to_std().is_ok_and(|ahead| ahead > times.tolerance) {
                return Err(("out_of_range", "is in the future".into()));
            }
            Ok(time)
        })
    }
}

/// The id, from wherever it is given; all places must agree.
fn event_id(fields: &mut Fields, headers: &HeaderMap, in_body: Option<&RawValue>) -> Option<String> {
    let mut ids = Vec::new();
    if let Some(raw) = in_body {
        ids.push(fields.keep("eventId", json(raw, "must be a text").and_then(valid_id))?);
    }
    for name in [signature::ID, X_EVENT_ID] {
        for value in headers.get_all(name) {
            let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
            ids.push(fields.keep(name, valid_id(text))?);
        }
    }
    let id = ids.first().cloned();
    if id.is_none() {
        let places = "must be in the body, or in the header webhook-id or x-event-id";
        fields.0.push(wrong("eventId", "missing", places));
    } else if ids.iter().any(|other| Some(other) != id.as_ref()) {
        fields.0.push(wrong("eventId", "ambiguous", "is not the same in the body and all headers"));
        return None;
    }
    id
}

fn valid_id(id: String) -> Result<String, Wrong> {
    if (1..=Event::MAX_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(id);
    }
    Err(("malformed", format!("must be 1 to {} visible ASCII characters", Event::MAX_ID)))
}

fn json<'b, T: Deserialize<'b>>(raw: &'b RawValue, detail: &str) -> Result<T, Wrong> {
    serde_json::from_str(raw.get()).map_err(|_| ("malformed", detail.to_owned()))
}

/// A text without the spaces around it, of so many characters.
fn text(raw: &RawValue, lengths: std::ops::RangeInclusive<usize>) -> Result<String, Wrong> {
    let (least, most) = (*lengths.start(), *lengths.end());
    let text: String = json(raw, "must be a text")?;
    let text = text.trim();
    match text.chars().count() {
        length if length > most => Err(("too_long", format!("must be at most {most} characters"))),
        length if length < least => Err(("malformed", "must not be empty".to_owned())),
        _ => Ok(text.to_owned()),
    }
}

fn product_id(raw: &RawValue) -> Result<u64, Wrong> {
    let id = json(raw, "").ok().filter(|id| (1..=Event::MAX_PRODUCT).contains(id));
    id.ok_or_else(|| ("malformed", format!("must be a whole number from 1 to {}", Event::MAX_PRODUCT)))
}

/// The number's own digits: no float comes between.
fn price(raw: &RawValue) -> Result<Price, Wrong> {
    raw.get().parse().map_err(|error: farmlokal_catalog::InvalidPrice| match error {
        farmlokal_catalog::InvalidPrice::Malformed => ("malformed", error.to_string()),
        farmlokal_catalog::InvalidPrice::OutOfRange => ("out_of_range", error.to_string()),
    })
}

#[cfg(test)]
mod tests;
