//! What holds for every body that a webhook may get.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use chrono::DateTime;
use farmlokal_catalog::{Change, Draft, Event, MAX_PRODUCT_ID};
use proptest::prelude::*;

use super::event::{Times, parse};
use super::signature::{ID, Key, Keys, SIGNATURE, TIMESTAMP};

/// A body as it was sent: it is an event within its bounds, always the same one, or refused for stated reasons.
fn event(body: &[u8]) {
    let now = DateTime::from_timestamp_millis(1_743_379_200_000).unwrap_or_default();
    let times = Times { now, retention: Duration::from_secs(86_400), tolerance: Duration::from_secs(300) };
    let event = match parse(&HeaderMap::new(), body, times) {
        Ok(event) => event,
        Err(wrong) => {
            assert!(!wrong.is_empty(), "refused without a reason");
            assert!(wrong.iter().all(|param| !param.name.is_empty() && !param.code.is_empty()), "{wrong:?}");
            return;
        }
    };
    assert!((1..=Event::MAX_ID).contains(&event.id.len()) && event.id.is_ascii());
    assert!((1..=MAX_PRODUCT_ID).contains(&event.product));
    let age = now.signed_duration_since(event.occurred_at).num_milliseconds();
    assert!((-300_000..=86_400_000).contains(&age), "{age} ms old");
    if let Change::Upsert(Draft { name, description, category, .. }) = &event.change {
        let lengths = [name, description, category].map(|text| text.chars().count());
        assert!([name, description, category].into_iter().all(|text| !text.contains(char::is_control)));
        assert!((1..=255).contains(&lengths[0]) && lengths[1] <= 1000 && (1..=64).contains(&lengths[2]));
    }
    assert!(
        parse(&HeaderMap::new(), body, times).is_ok_and(|again| again.payload_hash == event.payload_hash)
    );
}

/// The headers of a signature as they were sent: without a key, nobody makes one that is taken.
fn signature(text: &[u8]) {
    let Ok(header) = HeaderValue::from_bytes(text) else { return };
    let key = Key::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let keys = Keys { keys: key.into_iter().collect(), allow_unsigned: false };
    assert!(keys.can_verify());
    let (now, tolerance) =
        (DateTime::from_timestamp_millis(1_743_379_200_000).unwrap_or_default(), Duration::MAX);
    let (id, at) = (HeaderValue::from_static("evt_1"), HeaderValue::from_static("1743379200"));
    for (timestamp, signature) in [(&at, &header), (&header, &header)] {
        let headers = [(ID, &id), (TIMESTAMP, timestamp), (SIGNATURE, signature)];
        let headers = headers.map(|(name, value)| (HeaderName::from_static(name), value.clone()));
        assert!(keys.verify(&HeaderMap::from_iter(headers), b"{}", now, tolerance).is_err(), "{header:?}");
    }
}

const SOUND: [&str; 3] = [
    r#"{"eventId":"evt_1","type":"product.upserted","occurredAt":"2025-03-31T00:00:00.123456+02:00","data":{"id":7,"name":" Ball XL ","description":"","category":"sports","price":12.50}}"#,
    r#"{"eventId":"evt_1","type":"product.price_changed","occurredAt":"2025-03-30T23:59:60Z","data":{"id":7,"price":0.1}}"#,
    r#"{"eventId":"evt_1","type":"product.deleted","occurredAt":"2025-03-30T23:00:00Z","data":{"id":18446744073709551615}}"#,
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn any_bytes(body in prop::collection::vec(any::<u8>(), 0..200)) {
        event(&body);
        signature(&body);
    }

    #[test]
    fn headers_that_are_almost_signatures(text in "(v1,[A-Za-z0-9+/=]{0,48} ?){0,3}|[0-9]{1,22}|\\PC{0,60}") {
        signature(text.as_bytes());
    }

    /// A sound event with some of its bytes replaced, or cut out.
    #[test]
    fn an_event_that_is_almost_right(
        sound in prop::sample::select(SOUND.to_vec()),
        edits in prop::collection::vec((any::<prop::sample::Index>(), "[0-9eE.\\-\"{}\\[\\],:ntZ ]{0,3}|\\PC"), 0..4),
    ) {
        let mut body = sound.as_bytes().to_vec();
        for (at, with) in edits {
            let at = at.index(body.len());
            body.splice(at..=at, with.into_bytes());
        }
        event(&body);
    }
}
