//! Signatures of [Standard Webhooks 1.0](https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretSlice};
use sha2::Sha256;

/// What a symmetric secret starts with.
const PREFIX: &str = "whsec_";

/// A symmetric signing key of 24 to 64 bytes. Debug output does not show it.
#[derive(Clone, Debug)]
pub struct SigningKey {
    bytes: SecretSlice<u8>,
}

/// Why a text is no signing key. The error never repeats it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a webhook secret is whsec_ and the base64 of 24 to 64 bytes")]
pub struct InvalidKey;

impl SigningKey {
    /// Reads `whsec_<base64>`.
    ///
    /// # Errors
    /// Anything else, and keys of a length that the standard does not allow.
    pub fn parse(secret: &str) -> Result<SigningKey, InvalidKey> {
        let bytes = secret.strip_prefix(PREFIX).and_then(|encoded| STANDARD.decode(encoded).ok());
        let bytes = bytes.filter(|bytes| (24..=64).contains(&bytes.len())).ok_or(InvalidKey)?;
        Ok(SigningKey { bytes: bytes.into() })
    }

    /// One entry of a `webhook-signature` header, `v1,<base64>`, for a message with these headers and this body.
    /// `timestamp` is in seconds since 1970.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        // HMAC takes a key of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.bytes.expose_secret()) else {
            return String::new();
        };
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the reference implementations' own tests.
    #[test]
    fn the_reference_example_is_signed_alike() {
        let key = SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn what_is_no_key_is_refused_without_repeating_it() {
        let short = format!("{PREFIX}{}", STANDARD.encode("too short"));
        for bad in ["c2VjcmV0", "whsec_*", short.as_str()] {
            let error = SigningKey::parse(bad).unwrap_err();
            assert!(!error.to_string().contains(bad), "{error}");
        }
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let key = SigningKey::parse(secret).unwrap();
        assert_eq!(format!("{key:?}"), "SigningKey { bytes: SecretBox<[u8]>([REDACTED]) }");
    }
}
