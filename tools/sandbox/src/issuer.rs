//! Access tokens as JWTs ([RFC 9068](https://www.rfc-editor.org/rfc/rfc9068)), the keys that they are signed with, and the
//! documents that tell where those are.

use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Utc;
use ring::error::Unspecified;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::sandbox::{Partners, lock};

pub(crate) fn discovery_routes() -> Router<Arc<Partners>> {
    Router::new()
        .route("/.well-known/openid-configuration", get(metadata))
        .route("/.well-known/oauth-authorization-server", get(metadata))
}

pub(crate) fn key_routes() -> Router<Arc<Partners>> {
    Router::new().route("/.well-known/jwks.json", get(jwks))
}

async fn metadata(State(partners): State<Arc<Partners>>) -> Json<Value> {
    let issuer = &partners.issuer;
    let base = issuer.trim_end_matches('/');
    Json(json!({
        "issuer": issuer,
        "token_endpoint": format!("{base}/oauth/token"),
        "jwks_uri": format!("{base}/.well-known/jwks.json"),
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
    }))
}

async fn jwks(State(partners): State<Arc<Partners>>) -> impl IntoResponse {
    ([(CACHE_CONTROL, "public, max-age=600")], Json(partners.keys.published()))
}

/// How tokens are signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// ECDSA with P-256 and SHA-256.
    #[default]
    #[serde(rename = "ES256")]
    Es256,
    /// `EdDSA` with Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

/// What happens to the keys when a new one is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Rotation {
    /// The new key's.
    pub algorithm: Algorithm,
    /// The old keys are still published; otherwise they are withdrawn.
    pub keep_old: bool,
    /// The new key is published; otherwise nobody can verify its tokens until a reset.
    pub publish: bool,
}

impl Default for Rotation {
    fn default() -> Rotation {
        Rotation { algorithm: Algorithm::default(), keep_old: true, publish: true }
    }
}

/// The keys of tokens.
pub(crate) struct TokenKeys(Mutex<KeyRing>);

struct KeyRing {
    signing: TokenKey,
    /// The JWKs that are published.
    published: Vec<Value>,
}

struct TokenKey {
    kid: String,
    pair: Pair,
}

enum Pair {
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
}

impl TokenKeys {
    /// # Errors
    /// The system has no random numbers.
    pub(crate) fn new() -> Result<TokenKeys, Unspecified> {
        let signing = TokenKey::generate(Algorithm::default())?;
        let published = vec![signing.jwk()];
        Ok(TokenKeys(Mutex::new(KeyRing { signing, published })))
    }

    /// # Errors
    /// As [`TokenKeys::new`].
    pub(crate) fn rotate(&self, rotation: Rotation) -> Result<(), Unspecified> {
        let key = TokenKey::generate(rotation.algorithm)?;
        let mut keys = lock(&self.0);
        if !rotation.keep_old {
            keys.published.clear();
        }
        if rotation.publish {
            keys.published.push(key.jwk());
        }
        keys.signing = key;
        Ok(())
    }

    /// Publishes the key that signs.
    pub(crate) fn publish(&self) {
        let mut keys = lock(&self.0);
        let jwk = keys.signing.jwk();
        if !keys.published.contains(&jwk) {
            keys.published.push(jwk);
        }
    }

    /// The JWK set.
    pub(crate) fn published(&self) -> Value {
        json!({ "keys": lock(&self.0).published })
    }

    fn sign(&self, claims: &Value) -> Result<String, Unspecified> {
        let key = &lock(&self.0).signing;
        let header = json!({ "alg": key.algorithm(), "typ": "at+jwt", "kid": key.kid });
        let [header, claims] = [&header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = format!("{header}.{claims}");
        let signature = key.sign(signed.as_bytes())?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

impl TokenKey {
    fn generate(algorithm: Algorithm) -> Result<TokenKey, Unspecified> {
        let random = SystemRandom::new();
        let pair = match algorithm {
            Algorithm::Es256 => {
                let curve = &ECDSA_P256_SHA256_FIXED_SIGNING;
                let document = EcdsaKeyPair::generate_pkcs8(curve, &random)?;
                Pair::Es256(EcdsaKeyPair::from_pkcs8(curve, document.as_ref(), &random)?)
            }
            Algorithm::EdDsa => {
                let document = Ed25519KeyPair::generate_pkcs8(&random)?;
                Pair::EdDsa(Ed25519KeyPair::from_pkcs8(document.as_ref())?)
            }
        };
        Ok(TokenKey { kid: format!("{:016x}", rand::random::<u64>()), pair })
    }

    fn algorithm(&self) -> Algorithm {
        match self.pair {
            Pair::Es256(_) => Algorithm::Es256,
            Pair::EdDsa(_) => Algorithm::EdDsa,
        }
    }

    fn jwk(&self) -> Value {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut jwk = match &self.pair {
            Pair::Es256(pair) => {
                // 4, then both coordinates: a point that is not compressed.
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({ "kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y) })
            }
            Pair::EdDsa(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key().as_ref()) })
            }
        };
        jwk["kid"] = self.kid.clone().into();
        jwk["use"] = "sig".into();
        jwk["alg"] = json!(self.algorithm());
        jwk
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, Unspecified> {
        match &self.pair {
            Pair::Es256(pair) => Ok(pair.sign(&SystemRandom::new(), text)?.as_ref().to_vec()),
            Pair::EdDsa(pair) => Ok(pair.sign(text).as_ref().to_vec()),
        }
    }
}

impl Partners {
    /// A token for `audience` with the scopes of `scope`, valid for so many seconds; it has expired where that is
    /// negative.
    ///
    /// # Errors
    /// As [`TokenKeys::new`].
    pub(crate) fn sign_token(
        &self,
        audience: &str,
        scope: &str,
        seconds: i64,
    ) -> Result<String, Unspecified> {
        let (now, client) = (Utc::now().timestamp(), &self.config.client_id);
        self.keys.sign(&json!({
            "iss": self.issuer,
            "sub": format!("{client}@clients"),
            "client_id": client,
            "aud": audience,
            "scope": scope,
            "iat": now,
            "exp": now.saturating_add(seconds),
            "jti": format!("{:032x}", rand::random::<u128>()),
        }))
    }
}
