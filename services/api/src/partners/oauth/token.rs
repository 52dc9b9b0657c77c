//! An access token, and how long it is good for.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use crate::partners::config::PartnersArgs;

/// An access token. Its times of use are by this process's own clock, which no step of the system's moves.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) secret: SecretString,
    /// See [`fingerprint`].
    pub(crate) fingerprint: String,
    /// When the provider ends it.
    pub(crate) expires_at: DateTime<Utc>,
    /// From then on it is not used any more.
    pub(super) usable_until: Instant,
    /// How long before that a new one is fetched.
    pub(super) refresh_ahead: Duration,
}

impl Token {
    /// A token that was asked for at `asked`: its life began no earlier.
    pub(super) fn new(secret: SecretString, lifetime: Duration, args: &PartnersArgs, asked: Instant) -> Self {
        let buffer = args.oauth_expiry_buffer.min(lifetime / 5);
        let usable_until = asked + lifetime.saturating_sub(buffer);
        let expires_in = (asked + lifetime).saturating_duration_since(Instant::now());
        Self {
            fingerprint: fingerprint(secret.expose_secret()),
            expires_at: Utc::now() + TimeDelta::from_std(expires_in).unwrap_or_default(),
            usable_until,
            refresh_ahead: args.oauth_refresh_ahead.min(lifetime / 5),
            secret,
        }
    }

    pub(super) fn is_usable(&self) -> bool {
        Instant::now() < self.usable_until
    }

    pub(super) fn refresh_at(&self) -> Instant {
        self.usable_until.checked_sub(self.refresh_ahead).unwrap_or(self.usable_until)
    }

    /// How long it will still be used.
    pub(super) fn usable_for(&self) -> Duration {
        self.usable_until.saturating_duration_since(Instant::now())
    }
}

/// The first 16 hexadecimal digits of the SHA-256 of `text`: enough to distinguish secrets, too little to find one.
/// `printf %s "$TOKEN" | sha256sum` begins with the same.
pub(crate) fn fingerprint(text: &str) -> String {
    let digest: [u8; 32] = Sha256::digest(text).into();
    format!("{:016x}", digest.first_chunk().copied().map_or(0, u64::from_be_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partners::config::tests::args;

    fn token(lifetime: u64) -> Token {
        Token::new("abc".into(), Duration::from_secs(lifetime), &args(&[]), Instant::now())
    }

    #[test]
    fn a_fingerprint_is_what_sha256sum_says() {
        assert_eq!(fingerprint("abc"), "ba7816bf8f01cfea");
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_refreshed_then_withheld_before_it_ends() {
        let token = token(3600);
        let start = Instant::now();
        assert_eq!(token.refresh_at() - start, Duration::from_secs(3600 - 60 - 300));
        assert_eq!(token.usable_for(), Duration::from_secs(3540));
        tokio::time::advance(Duration::from_secs(3539)).await;
        assert!(token.is_usable());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!token.is_usable());
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_lived_token_is_of_use_too() {
        let token = token(10);
        assert_eq!(token.usable_for(), Duration::from_secs(8));
        assert_eq!(token.refresh_at() - Instant::now(), Duration::from_secs(6));
    }

    #[tokio::test]
    async fn debugging_output_does_not_hold_the_token() {
        let token = Token::new("very-secret".into(), Duration::from_secs(60), &args(&[]), Instant::now());
        assert!(!format!("{token:?}").contains("very-secret"));
    }
}
