//! An issuer whose keys the test has: it signs whatever a forger would like.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

use super::fixture::AUDIENCE;

pub struct Issuer {
    pub url: String,
    jwks_url: String,
    pub key: Key,
    /// Published, for encryption.
    pub other_use: Key,
}

pub struct Key {
    pair: EcdsaKeyPair,
    kid: &'static str,
}

impl Key {
    pub fn generate(kid: &'static str) -> Key {
        let (curve, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let document = EcdsaKeyPair::generate_pkcs8(curve, &random).unwrap();
        Key { pair: EcdsaKeyPair::from_pkcs8(curve, document.as_ref(), &random).unwrap(), kid }
    }

    /// The public key for this use.
    pub fn jwk(&self, purpose: &str) -> Value {
        let (x, y) = self.pair.public_key().as_ref()[1..].split_at(32);
        json!({"kty": "EC", "crv": "P-256", "kid": self.kid, "use": purpose, "x": encode(x), "y": encode(y)})
    }

    pub fn header(&self) -> Value {
        json!({"alg": "ES256", "typ": "at+jwt", "kid": self.kid})
    }

    /// A token with this header and these claims.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let text = unsigned(header, claims);
        let signature = self.pair.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        format!("{text}.{}", encode(signature))
    }
}

/// What the signature of a token is of.
pub fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.{}", encode(header.to_string()), encode(claims.to_string()))
}

pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Seconds since 1970.
pub fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// A value with other members; null takes one away.
pub fn with(mut value: Value, changes: &Value) -> Value {
    let members = value.as_object_mut().unwrap();
    members.extend(changes.as_object().unwrap().clone());
    members.retain(|_, value| !value.is_null());
    value
}

impl Issuer {
    pub async fn start() -> Issuer {
        let (key, other_use) = (Key::generate("k"), Key::generate("e"));
        let keys = json!({"keys": [key.jwk("sig"), other_use.jwk("enc")]}).to_string();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let routes = Router::new().route("/keys", get(move || async { keys }));
        tokio::spawn(axum::serve(listener, routes).into_future());
        Issuer { jwks_url: format!("{url}/keys"), url, key, other_use }
    }

    pub fn settings(&self) -> [(&str, &str); 3] {
        [("AUTH_ISSUER", &self.url), ("AUTH_AUDIENCE", AUDIENCE), ("AUTH_JWKS_URL", &self.jwks_url)]
    }

    pub fn claims(&self) -> Value {
        json!({
            "iss": self.url, "aud": AUDIENCE, "sub": "ann", "client_id": "shop", "scope": "products:write",
            "iat": now(), "exp": now() + 3_600,
        })
    }

    /// A good token but for these changes of its claims.
    pub fn token(&self, changes: &Value) -> String {
        self.key.sign(&self.key.header(), &with(self.claims(), changes))
    }
}
