//! Bearer tokens that remember their own expiry, so that the sandbox need not remember any of them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Utc;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Expiry, generation and serial number, eight bytes each.
const CLAIMS: usize = 24;

/// Issues tokens and knows its own again. Those of another process are strangers.
pub(crate) struct Bearers {
    key: [u8; 64],
    /// Tokens of an earlier generation are revoked.
    generation: AtomicU64,
    serial: AtomicU64,
}

impl Bearers {
    pub(crate) fn new() -> Bearers {
        Bearers { key: rand::random(), generation: AtomicU64::new(0), serial: AtomicU64::new(0) }
    }

    /// A token unlike any other.
    pub(crate) fn issue(&self, lifetime: Duration) -> String {
        let lifetime = i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX);
        let expires = Utc::now().timestamp_millis().saturating_add(lifetime);
        let claims = [
            expires.to_be_bytes(),
            self.generation.load(Relaxed).to_be_bytes(),
            self.serial.fetch_add(1, Relaxed).to_be_bytes(),
        ]
        .concat();
        let code = self.mac(&claims).finalize().into_bytes();
        URL_SAFE_NO_PAD.encode([claims.as_slice(), &code].concat())
    }

    /// Whether this is a token of ours that has neither expired nor been revoked.
    pub(crate) fn accepts(&self, token: &str) -> bool {
        let Ok(bytes) = URL_SAFE_NO_PAD.decode(token) else { return false };
        let Some((claims, code)) = bytes.split_at_checked(CLAIMS) else { return false };
        if self.mac(claims).verify_slice(code).is_err() {
            return false;
        }
        let (expires, rest) = claims.split_at(8);
        let expires = i64::from_be_bytes(expires.try_into().unwrap_or_default());
        let generation = self.generation.load(Relaxed).to_be_bytes();
        rest.starts_with(&generation) && Utc::now().timestamp_millis() < expires
    }

    /// All tokens so far are no longer valid.
    pub(crate) fn revoke_all(&self) {
        self.generation.fetch_add(1, Relaxed);
    }

    fn mac(&self, claims: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::new(&self.key.into());
        mac.update(claims);
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_valid_until_it_expires_or_is_revoked_and_for_its_issuer_only() {
        let ours = Bearers::new();
        let token = ours.issue(Duration::from_mins(1));
        assert!(ours.accepts(&token));
        assert!(!ours.accepts(&ours.issue(Duration::ZERO)));
        assert!(!Bearers::new().accepts(&token));
        assert!(!ours.accepts("") && !ours.accepts(&token[1..]));
        assert_ne!(token, ours.issue(Duration::from_mins(1)));
        ours.revoke_all();
        assert!(!ours.accepts(&token));
        assert!(ours.accepts(&ours.issue(Duration::from_mins(1))));
    }
}
