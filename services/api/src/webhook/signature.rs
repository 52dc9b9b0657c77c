//! Signatures of [Standard Webhooks 1.0](https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md):
//! HMAC-SHA256 over `id.timestamp.body`, the body as it was sent.
//!
//! By hand: the standardwebhooks crate compares only as many bytes as a signature has, so that an empty one is right
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/1e88c9ce08bb2c605fea9a2a540b4a91d31c7a62/libraries/rust/src/lib.rs#L81>),
//! takes text bodies alone, and has one key and a fixed tolerance.

use std::time::Duration;

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

pub(super) const ID: &str = "webhook-id";
pub(super) const TIMESTAMP: &str = "webhook-timestamp";
pub(super) const SIGNATURE: &str = "webhook-signature";

/// Bytes of a key, by the specification.
const KEY_LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;
/// Signatures that are looked at: more than any rotation needs.
const MOST_SIGNATURES: usize = 16;

/// A key that events are signed with. It has no Debug, so that no log can hold it.
pub(super) struct Key(Hmac<Sha256>);

/// Why a text is no key. It never repeats the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidKey {
    #[error("must start with whsec_")]
    Prefix,
    #[error("must be base64 after whsec_")]
    Base64,
    #[error("must have 24 to 64 bytes, not {0}")]
    Length(usize),
}

impl Key {
    /// Reads `whsec_` and base64.
    pub(super) fn parse(text: &str) -> Result<Key, InvalidKey> {
        let encoded = text.strip_prefix("whsec_").ok_or(InvalidKey::Prefix)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| InvalidKey::Base64)?;
        if !KEY_LENGTHS.contains(&bytes.len()) {
            return Err(InvalidKey::Length(bytes.len()));
        }
        Hmac::new_from_slice(&bytes).map(Key).map_err(|_| InvalidKey::Length(bytes.len()))
    }

    /// Compares in a time that does not depend on where the two differ.
    fn made(&self, signature: &[u8], id: &str, timestamp: &str, body: &[u8]) -> bool {
        let mut mac = self.0.clone();
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        mac.verify_slice(signature).is_ok()
    }
}

/// Who may send events.
pub(super) struct Keys {
    /// Any of them will do.
    pub(super) keys: Vec<Key>,
    /// Events without a signature are taken as well. Those with one must still be right where there are keys.
    pub(super) allow_unsigned: bool,
}

/// Why a signature does not count, for the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unverified {
    #[error("The headers webhook-id, webhook-timestamp and webhook-signature must be there, once each.")]
    Headers,
    #[error("webhook-timestamp is no whole number of seconds since 1970.")]
    Timestamp,
    #[error("webhook-timestamp is too far from the present.")]
    Tolerance,
    #[error("No signature in webhook-signature is right for this id, time and body.")]
    Signature,
}

impl Keys {
    /// Whether any event can be taken at all.
    pub(super) fn can_verify(&self) -> bool {
        self.allow_unsigned || !self.keys.is_empty()
    }

    /// Checks that an event comes from one who has a key, within `tolerance` of `now`.
    pub(super) fn verify(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: DateTime<Utc>,
        tolerance: Duration,
    ) -> Result<(), Unverified> {
        if self.allow_unsigned && (self.keys.is_empty() || !headers.contains_key(SIGNATURE)) {
            return Ok(());
        }
        let header = |name| only(headers, name).ok_or(Unverified::Headers);
        let (id, timestamp, signatures) = (header(ID)?, header(TIMESTAMP)?, header(SIGNATURE)?);
        let digits = timestamp.bytes().all(|byte| byte.is_ascii_digit());
        let seconds: i64 = timestamp.parse().ok().filter(|_| digits).ok_or(Unverified::Timestamp)?;
        if now.timestamp().abs_diff(seconds) > tolerance.as_secs() {
            return Err(Unverified::Tolerance);
        }
        // Other versions are for those who know them.
        let of_version_1 = signatures.split(' ').filter_map(|signature| signature.strip_prefix("v1,"));
        let right = of_version_1
            .take(MOST_SIGNATURES)
            .filter_map(|text| STANDARD.decode(text).ok())
            .any(|signature| self.keys.iter().any(|key| key.made(&signature, id, timestamp, body)));
        if right { Ok(()) } else { Err(Unverified::Signature) }
    }
}

/// The value of a header that is there exactly once.
fn only<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    /// The example of the specification's own reference implementations.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const OTHER: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    const MESSAGE: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const AT: i64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNED: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn keys(secrets: &[&str], allow_unsigned: bool) -> Keys {
        Keys { keys: secrets.iter().map(|text| Key::parse(text).unwrap()).collect(), allow_unsigned }
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn signed(signature: &str) -> HeaderMap {
        headers(&[(ID, MESSAGE), (TIMESTAMP, &AT.to_string()), (SIGNATURE, signature)])
    }

    fn verify(keys: &Keys, headers: &HeaderMap, body: &[u8], now: i64) -> Result<(), Unverified> {
        keys.verify(headers, body, DateTime::from_timestamp(now, 0).unwrap(), Duration::from_secs(300))
    }

    #[test]
    fn the_reference_example_is_right() {
        assert_eq!(verify(&keys(&[SECRET], false), &signed(SIGNED), BODY, AT), Ok(()));
    }

    #[test]
    fn any_key_and_any_signature_will_do() {
        let rotating = keys(&[OTHER, SECRET], false);
        let several = format!("v1a,xyz v1,bm90IGl0 {SIGNED} v2,abc");
        assert_eq!(verify(&rotating, &signed(&several), BODY, AT), Ok(()));
    }

    #[test]
    fn nothing_else_is() {
        let keys = keys(&[SECRET], false);
        let wrong = |headers: &HeaderMap, body| verify(&keys, headers, body, AT).unwrap_err();
        assert_eq!(wrong(&signed(SIGNED), br#"{"test":2432232314}"#), Unverified::Signature);
        for signature in ["", "v1,", "v1", &SIGNED.replace("v1,", "v1a,"), &SIGNED[3..], &SIGNED[..20]] {
            assert_eq!(wrong(&signed(signature), BODY), Unverified::Signature, "{signature:?}");
        }
        let mut other_id = signed(SIGNED);
        other_id.insert(ID, "msg_other".parse().unwrap());
        assert_eq!(wrong(&other_id, BODY), Unverified::Signature);
        for missing in [ID, TIMESTAMP, SIGNATURE] {
            let mut headers = signed(SIGNED);
            headers.remove(missing);
            assert_eq!(wrong(&headers, BODY), Unverified::Headers, "{missing}");
        }
        let mut twice = signed(SIGNED);
        twice.append(SIGNATURE, SIGNED.parse().unwrap());
        assert_eq!(wrong(&twice, BODY), Unverified::Headers);
        for timestamp in ["", "now", "-1", "+1614265330", "1614265330.0", "99999999999999999999"] {
            let mut headers = signed(SIGNED);
            headers.insert(TIMESTAMP, timestamp.parse().unwrap());
            assert_eq!(wrong(&headers, BODY), Unverified::Timestamp, "{timestamp:?}");
        }
    }

    #[test]
    fn the_time_must_be_near_on_both_sides() {
        let keys = keys(&[SECRET], false);
        for (now, expected) in [
            (AT + 300, Ok(())),
            (AT - 300, Ok(())),
            (AT + 301, Err(Unverified::Tolerance)),
            (AT - 301, Err(Unverified::Tolerance)),
        ] {
            assert_eq!(verify(&keys, &signed(SIGNED), BODY, now), expected);
        }
    }

    #[test]
    fn unsigned_is_for_those_who_allow_it() {
        let none = HeaderMap::new();
        assert_eq!(verify(&keys(&[SECRET], true), &none, BODY, AT), Ok(()));
        assert_eq!(verify(&keys(&[], true), &signed("v1,anything"), BODY, AT), Ok(()));
        assert_eq!(verify(&keys(&[SECRET], false), &none, BODY, AT), Err(Unverified::Headers));
        // A signature that is there counts.
        let wrong = verify(&keys(&[OTHER], true), &signed(SIGNED), BODY, AT);
        assert_eq!(wrong, Err(Unverified::Signature));
        assert!(!keys(&[], false).can_verify());
        assert_eq!(verify(&keys(&[], false), &signed(SIGNED), BODY, AT), Err(Unverified::Signature));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for (text, error) in [
            ("", InvalidKey::Prefix),
            ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", InvalidKey::Prefix),
            ("whsec_*", InvalidKey::Base64),
            ("whsec_c2hvcnQ=", InvalidKey::Length(5)),
        ] {
            assert_eq!(Key::parse(text).err(), Some(error));
        }
    }
}
