use axum::http::HeaderName;
use farmlokal_catalog::{Draft, Price};
use serde_json::json;

use super::*;

fn times() -> Times {
    let day = Duration::from_secs(86_400);
    let now = "2025-03-31T00:00:00Z".parse().unwrap();
    Times { now, retention: 30 * day, tolerance: Duration::from_secs(300) }
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
}

fn upsert() -> serde_json::Value {
    json!({
        "eventId": "evt_1", "type": "product.upserted", "occurredAt": "2025-03-30T10:00:00.123456+02:00",
        "data": {"id": 7, "name": " Ball XL ", "description": "", "category": "sports", "price": 12.5}
    })
}

fn read(body: &serde_json::Value) -> Result<Event, Vec<InvalidParam>> {
    parse(&HeaderMap::new(), body.to_string().as_bytes(), times())
}

/// The names and codes of what is wrong.
fn faults(result: Result<Event, Vec<InvalidParam>>) -> Vec<(String, &'static str)> {
    result.unwrap_err().into_iter().map(|fault| (fault.name, fault.code)).collect()
}

#[test]
fn each_type_is_read() {
    let event = read(&upsert()).unwrap();
    assert_eq!((event.id.as_str(), event.product), ("evt_1", 7));
    assert_eq!(event.occurred_at, "2025-03-30T08:00:00.123456Z".parse::<DateTime<Utc>>().unwrap());
    let price: Price = "12.50".parse().unwrap();
    let (name, description, category) = ("Ball XL".into(), String::new(), "sports".into());
    assert_eq!(event.change, Change::Upsert(Draft { name, description, category, price }));

    let mut body = upsert();
    body["type"] = "product.price_changed".into();
    assert_eq!(read(&body).unwrap().change, Change::PriceChange(price));
    body["type"] = "product.deleted".into();
    body["data"] = json!({"id": 7});
    assert_eq!(read(&body).unwrap().change, Change::Delete);
}

#[test]
fn the_id_may_be_in_the_body_or_in_a_header_and_must_be_one() {
    let mut without = upsert();
    without.as_object_mut().unwrap().remove("eventId");
    let read = |body: &serde_json::Value, pairs: &[(&'static str, &str)]| {
        parse(&headers(pairs), body.to_string().as_bytes(), times())
    };
    for pairs in [[("webhook-id", "evt_2")], [("x-event-id", "evt_2")]] {
        assert_eq!(read(&without, &pairs).unwrap().id, "evt_2");
        assert_eq!(faults(read(&upsert(), &pairs)), [("eventId".into(), "ambiguous")]);
    }
    assert_eq!(read(&upsert(), &[("webhook-id", "evt_1"), ("x-event-id", "evt_1")]).unwrap().id, "evt_1");
    let differ = [("webhook-id", "evt_1"), ("x-event-id", "evt_2")];
    assert_eq!(faults(read(&without, &differ)), [("eventId".into(), "ambiguous")]);
    let twice = [("x-event-id", "evt_1"), ("x-event-id", "evt_2")];
    assert_eq!(faults(read(&without, &twice)), [("eventId".into(), "ambiguous")]);
    assert_eq!(faults(read(&without, &[])), [("eventId".into(), "missing")]);
    assert_eq!(faults(read(&without, &[("x-event-id", "two words")])), [("x-event-id".into(), "malformed")]);
    without["eventId"] = "x".repeat(129).into();
    assert_eq!(faults(read(&without, &[])), [("eventId".into(), "malformed")]);
}

#[test]
fn every_wrong_field_is_named() {
    let body = json!({
        "eventId": 1, "type": "product.upserted", "occurredAt": "yesterday",
        "data": {"id": 0, "name": "  ", "category": "x".repeat(65), "price": "1.00", "colour": "red"}
    });
    let expected = [
        ("eventId", "malformed"),
        ("occurredAt", "malformed"),
        ("data.id", "malformed"),
        ("data.name", "malformed"),
        ("data.description", "missing"),
        ("data.category", "too_long"),
        ("data.price", "malformed"),
    ];
    assert_eq!(faults(read(&body)), expected.map(|(name, code)| (name.to_owned(), code)));
    let names = |body: &str| faults(parse(&HeaderMap::new(), body.as_bytes(), times()));
    assert_eq!(
        names("{}"),
        ["eventId", "type", "occurredAt", "data"].map(|name| (name.to_owned(), "missing"))
    );
    let array = r#"["e","product.deleted","2025-03-30T00:00:00Z",{"id":1}]"#;
    for body in ["", "[]", array, "null", "{", "7", "\u{feff}{}"] {
        assert_eq!(names(body), [("body".to_owned(), "malformed")], "{body}");
    }
    let unknown =
        r#"{"eventId":"e","type":"order.placed","occurredAt":"2025-03-30T00:00:00Z","data":{"id":1}}"#;
    assert_eq!(names(unknown), [("type".to_owned(), "unknown_type")]);
}

#[test]
fn an_array_is_no_object_and_a_member_that_is_there_twice_is_the_one_that_is_named() {
    let sound =
        r#"{"eventId":"e","type":"product.deleted","occurredAt":"2025-03-30T00:00:00Z","data":{"id":1}}"#;
    let named = |from: &str, to: &str| {
        let body = sound.replace(from, to);
        faults(parse(&HeaderMap::new(), body.as_bytes(), times()))
    };
    assert_eq!(named(r#"{"id":1}"#, "[1]"), [("data".to_owned(), "malformed")]);
    assert_eq!(named(r#"{"id":1}"#, r#"[1,"n","","c",1]"#), [("data".to_owned(), "malformed")]);
    for (from, to, name) in [
        (r#"{"id":1}"#, r#"{"id":1,"id":1}"#, "data.id"),
        (r#""type""#, r#""type":"product.deleted","type""#, "type"),
        (r#""eventId""#, r#""eventId":"e","event\u0049d""#, "eventId"),
        (r#""data""#, r#""data":{"id":1},"data""#, "data"),
        (r#""occurredAt""#, r#""occurredAt":"2025-03-30T00:00:00Z","occurredAt""#, "occurredAt"),
    ] {
        assert_eq!(named(from, to), [(name.to_owned(), "repeated")]);
    }
    // What is not ours may be there as often as it likes.
    let body = sound.replace(r#""data""#, r#""x":1,"x":2,"data""#);
    assert!(parse(&HeaderMap::new(), body.as_bytes(), times()).is_ok());
}

#[test]
fn texts_are_stored_in_one_spelling_and_can_be_seen() {
    let with = |name: &str| {
        let mut body = upsert();
        body["data"]["name"] = name.into();
        read(&body)
    };
    let Change::Upsert(Draft { name, .. }) = with(" Ka\u{308}se\u{a0}").unwrap().change else { panic!() };
    assert_eq!(name, "K\u{e4}se");
    assert!(with(&"e\u{301}".repeat(255)).is_ok());
    for (name, code) in [
        ("\u{200b}", "malformed"),
        ("a\nb", "malformed"),
        ("\0", "malformed"),
        (" \u{3000}", "malformed"),
        (&"é".repeat(256), "too_long"),
    ] {
        assert_eq!(faults(with(name)), [("data.name".to_owned(), code)], "{name:?}");
    }
    let mut body = upsert();
    body["data"]["category"] = "\u{2060}".into();
    body["data"]["description"] = "\u{7f}".into();
    let expected = [("data.description", "malformed"), ("data.category", "malformed")];
    assert_eq!(faults(read(&body)), expected.map(|(name, code)| (name.to_owned(), code)));
}

#[test]
fn numbers_are_taken_digit_by_digit() {
    let with = |id: &str, price: &str| {
        let body = format!(
            r#"{{"eventId":"e","type":"product.price_changed","occurredAt":"2025-03-30T00:00:00Z","data":{{"id":{id},"price":{price}}}}}"#
        );
        parse(&HeaderMap::new(), body.as_bytes(), times())
    };
    let Change::PriceChange(price) = with("9007199254740991", "99999999.99").unwrap().change else {
        panic!()
    };
    assert_eq!(price, Price::MAX);
    for bad in ["9007199254740992", "9223372036854775807", "1.0", "-1", "\"1\"", "1e0", "true"] {
        assert_eq!(faults(with(bad, "1")), [("data.id".to_owned(), "malformed")], "{bad}");
    }
    for (bad, code) in
        [("1.005", "malformed"), ("1e2", "malformed"), ("-1", "malformed"), ("100000000", "out_of_range")]
    {
        assert_eq!(faults(with("1", bad)), [("data.price".to_owned(), code)], "{bad}");
    }
}

#[test]
fn an_event_must_be_of_these_days() {
    let mut body = upsert();
    for (time, good) in [
        ("2025-03-01T00:00:00Z", true),
        ("2025-02-28T23:59:59Z", false),
        ("2025-03-31T00:05:00Z", true),
        ("2025-03-31T00:05:01Z", false),
        ("+262142-01-01T00:00:00Z", false),
        ("0000-01-01T00:00:00Z", false),
    ] {
        body["occurredAt"] = time.into();
        assert_eq!(read(&body).is_ok(), good, "{time}");
    }
}
