//! The access tokens that were issued.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use chrono::Utc;

use crate::sandbox::lock;

/// Tokens by when they expire, in milliseconds since 1970.
#[derive(Default)]
pub(crate) struct AccessTokens(Mutex<HashMap<String, i64>>);

impl AccessTokens {
    /// A token unlike any other.
    pub(crate) fn issue(&self, lifetime: Duration) -> String {
        let token = format!("{:032x}", rand::random::<u128>());
        self.remember(token.clone(), lifetime);
        token
    }

    /// Counts `token` as one that was issued here.
    pub(crate) fn remember(&self, token: String, lifetime: Duration) {
        let lifetime = i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX);
        let expires = Utc::now().timestamp_millis().saturating_add(lifetime);
        lock(&self.0).insert(token, expires);
    }

    /// Whether the token was issued here and has neither expired nor been revoked.
    pub(crate) fn accepts(&self, token: &str) -> bool {
        lock(&self.0).get(token).is_some_and(|expires| Utc::now().timestamp_millis() < *expires)
    }

    pub(crate) fn revoke_all(&self) {
        lock(&self.0).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_valid_until_it_expires_or_is_revoked_and_for_its_issuer_only() {
        let ours = AccessTokens::default();
        let token = ours.issue(Duration::from_mins(1));
        assert!(ours.accepts(&token));
        assert!(!ours.accepts(&ours.issue(Duration::ZERO)));
        assert!(!AccessTokens::default().accepts(&token));
        assert!(!ours.accepts("") && !ours.accepts(&token[1..]));
        assert_ne!(token, ours.issue(Duration::from_mins(1)));
        ours.revoke_all();
        assert!(!ours.accepts(&token));
        assert!(ours.accepts(&ours.issue(Duration::from_mins(1))));
    }
}
