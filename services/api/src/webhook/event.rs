//! The body of an event, read and checked.

use std::time::Duration;

use axum::http::HeaderMap;
use chrono::{DateTime, Utc};
use farmlokal_catalog::{Change, Event};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::signature;
use crate::fields::{self, Fields, json, product_id};
use crate::object::Members;
use crate::problem::InvalidParam;
use crate::query::{Invalid, price};

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

/// Reads an event. Members that we do not know are left alone, so that a partner can add some.
///
/// # Errors
/// Every field that is missing or wrong; headers and the body as a whole are named like fields.
pub(super) fn parse(headers: &HeaderMap, body: &[u8], times: Times) -> Result<Event, Vec<InvalidParam>> {
    let envelope = fields::body(body)?;
    let mut fields = Fields::default();
    let id = fields.event_id(headers, &envelope);
    let kind = fields.read(&envelope, "", "type", |raw| json::<String>(raw, "must be a text"));
    let occurred_at = fields.read(&envelope, "", "occurredAt", |raw| occurred_at(raw, times));
    let Some(data) = fields.read(&envelope, "", "data", fields::members) else {
        return fields.finish(None);
    };
    let product = fields.read(&data, "data.", "id", product_id);
    let change = match kind.as_deref() {
        Some("product.upserted") => fields.draft(&data, "data.").map(Change::Upsert),
        Some("product.price_changed") => {
            fields.read(&data, "data.", "price", |raw| price(raw.get())).map(Change::PriceChange)
        }
        Some("product.deleted") => Some(Change::Delete),
        Some(_) => {
            let types = "must be product.upserted, product.price_changed or product.deleted";
            fields.refuse("type", "unknown_type", types);
            None
        }
        None => None,
    };
    let event = match (id, product, occurred_at, change) {
        (Some(id), Some(product), Some(occurred_at), Some(change)) => {
            Some(Event { id, product, occurred_at, change, payload_hash: Sha256::digest(body).into() })
        }
        _ => None,
    };
    fields.finish(event)
}

impl Fields {
    /// The id, from wherever it is given; all places must agree.
    fn event_id(&mut self, headers: &HeaderMap, envelope: &Members<'_>) -> Option<String> {
        let mut ids = Vec::new();
        if envelope.all("eventId").next().is_some() {
            let read = |raw| json(raw, "must be a text").and_then(valid_id);
            ids.push(self.read(envelope, "", "eventId", read)?);
        }
        for name in [signature::ID, X_EVENT_ID] {
            for value in headers.get_all(name) {
                let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
                ids.push(self.keep(name, valid_id(text))?);
            }
        }
        let all_agree = ids.windows(2).all(|pair| pair[0] == pair[1]);
        let (code, detail) = match ids.pop() {
            Some(id) if all_agree => return Some(id),
            Some(_) => ("ambiguous", "is not the same in the body and all headers"),
            None => ("missing", "must be in the body, or in the header webhook-id or x-event-id"),
        };
        self.refuse("eventId", code, detail);
        None
    }
}

fn occurred_at(raw: &RawValue, times: Times) -> Result<DateTime<Utc>, Invalid> {
    let text: String = json(raw, "must be a text")?;
    let time = DateTime::parse_from_rfc3339(&text).map_err(|_| {
        ("malformed", "must be a time of RFC 3339, such as 2025-03-01T09:30:00.120Z".to_owned())
    })?;
    let age = times.now.signed_duration_since(time);
    if age.to_std().is_ok_and(|age| age > times.retention) {
        return Err(("out_of_range", "is too long ago: newer changes may be forgotten by now".to_owned()));
    }
    if (-age).to_std().is_ok_and(|ahead| ahead > times.tolerance) {
        return Err(("out_of_range", "is in the future".to_owned()));
    }
    Ok(time.to_utc())
}

fn valid_id(id: String) -> Result<String, Invalid> {
    if (1..=Event::MAX_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(id);
    }
    Err(("malformed", format!("must be 1 to {} visible ASCII characters", Event::MAX_ID)))
}

#[cfg(test)]
mod tests;
