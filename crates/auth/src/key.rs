//! The issuer's keys: a JWK set, [RFC 7517](https://www.rfc-editor.org/rfc/rfc7517).

use std::sync::Arc;

use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;
use serde_json::Value;

use crate::Refused;
use crate::json::{base64url, object};

/// Shorter RSA keys are not safe ([RFC 7518, 3.3](https://www.rfc-editor.org/rfc/rfc7518#section-3.3)).
const SHORTEST_RSA: usize = 2048;

/// How tokens may be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Rs256,
    Es256,
    /// With Ed25519.
    EdDsa,
}

impl Algorithm {
    /// The algorithm with this name. `None` for those that are not taken, `none` and HMAC among them.
    pub(crate) fn named(name: &str) -> Option<Algorithm> {
        match name {
            "RS256" => Some(Algorithm::Rs256),
            "ES256" => Some(Algorithm::Es256),
            "EdDSA" => Some(Algorithm::EdDsa),
            _ => None,
        }
    }
}

/// A public key.
#[derive(Debug)]
pub(crate) struct Key {
    kid: Option<String>,
    public: Public,
}

#[derive(Debug)]
enum Public {
    Rsa(RsaPublicKeyComponents<Vec<u8>>),
    P256(UnparsedPublicKey<Vec<u8>>),
    Ed25519(UnparsedPublicKey<Vec<u8>>),
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    kid: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Key {
    /// `None` for a key that verifies no tokens here: for encryption, of another algorithm, too short, or broken.
    fn read(jwk: Value) -> Option<Key> {
        let jwk: Jwk = serde_json::from_value(jwk).ok()?;
        let is_for_signatures = jwk.usage.as_ref().is_none_or(|usage| usage == "sig")
            && jwk.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        let number = |text: &Option<String>| base64url(text.as_deref()?);
        let coordinate = |text: &Option<String>| number(text).filter(|bytes| bytes.len() == 32);
        let public = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) => {
                // ring takes no leading zeros, which some issuers write.
                let unsigned =
                    |bytes: Vec<u8>| bytes.into_iter().skip_while(|byte| *byte == 0).collect::<Vec<_>>();
                let (n, e) = (unsigned(number(&jwk.n)?), unsigned(number(&jwk.e)?));
                let bits = n.len() * 8 - n.first()?.leading_zeros() as usize;
                (bits >= SHORTEST_RSA).then_some(Public::Rsa(RsaPublicKeyComponents { n, e }))?
            }
            ("EC", Some("P-256")) => {
                // A point that is not compressed: https://www.rfc-editor.org/rfc/rfc5480#section-2.2
                let point = [vec![4], coordinate(&jwk.x)?, coordinate(&jwk.y)?].concat();
                Public::P256(UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point))
            }
            ("OKP", Some("Ed25519")) => {
                Public::Ed25519(UnparsedPublicKey::new(&ED25519, coordinate(&jwk.x)?))
            }
            _ => return None,
        };
        let key = Key { kid: jwk.kid, public };
        let is_for_ours = jwk.alg.is_none_or(|name| Algorithm::named(&name) == Some(key.algorithm()));
        (is_for_signatures && is_for_ours).then_some(key)
    }

    fn algorithm(&self) -> Algorithm {
        match self.public {
            Public::Rsa(_) => Algorithm::Rs256,
            Public::P256(_) => Algorithm::Es256,
            Public::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    /// # Errors
    /// The signature is not that of this key.
    pub(crate) fn verify(&self, signed: &[u8], signature: &[u8]) -> Result<(), Refused> {
        let verified = match &self.public {
            Public::Rsa(key) => key.verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature),
            Public::P256(key) | Public::Ed25519(key) => key.verify(signed, signature),
        };
        verified.map_err(|_| Refused::Signature)
    }
}

/// The keys of an issuer that verify tokens here.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeySet(Vec<Arc<Key>>);

impl KeySet {
    /// Reads a JWK set; keys that are of no use here are left out. `None` if it is no JWK set.
    pub(crate) fn read(json: &[u8]) -> Option<KeySet> {
        #[derive(Deserialize)]
        struct Jwks {
            keys: Vec<Value>,
        }
        let Jwks { keys } = object(json)?;
        Some(KeySet(keys.into_iter().filter_map(Key::read).map(Arc::new).collect()))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The key of this name for this algorithm. A token that names none can only mean the key of an issuer that has one.
    ///
    /// # Errors
    /// There is none: [`Refused::Algorithm`] where the key of this name is for another algorithm, else
    /// [`Refused::UnknownKey`].
    pub(crate) fn find(&self, algorithm: Algorithm, kid: Option<&str>) -> Result<Arc<Key>, Refused> {
        let is_meant = |key: &&Arc<Key>| match kid {
            Some(kid) => key.kid.as_deref() == Some(kid),
            None => self.0.len() == 1,
        };
        let mut refused = Refused::UnknownKey;
        // One name may be that of several keys, each for another algorithm.
        for key in self.0.iter().filter(is_meant) {
            if key.algorithm() == algorithm {
                return Ok(Arc::clone(key));
            }
            refused = Refused::Algorithm;
        }
        Err(refused)
    }
}
