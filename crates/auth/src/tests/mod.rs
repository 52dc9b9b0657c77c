//! Tokens of an issuer whose keys the tests have.

mod accepted;
mod config;
mod forged;
mod jwks;
mod mutation;
mod pace;

use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use rsa::traits::PublicKeyParts as _;
use rsa::{Pkcs1v15Sign, RsaPrivateKey};
use serde_json::{Value, json};

use crate::claims::Rules;
use crate::key::KeySet;
use crate::keys::Keys;
use crate::{Claims, Refused, Verifier};

const ISSUER: &str = "https://issuer.test/";
const AUDIENCE: &str = "https://api.test";

/// A key pair of the issuer.
enum Pair {
    Rsa(Box<RsaPrivateKey>),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

static RSA: LazyLock<Pair> = LazyLock::new(|| Pair::rsa(2048));
static P256: LazyLock<Pair> = LazyLock::new(|| {
    let (curve, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
    let document = EcdsaKeyPair::generate_pkcs8(curve, &random).unwrap();
    Pair::P256(EcdsaKeyPair::from_pkcs8(curve, document.as_ref(), &random).unwrap())
});
static ED25519: LazyLock<Pair> = LazyLock::new(Pair::ed25519);

impl Pair {
    fn rsa(bits: usize) -> Pair {
        Pair::Rsa(Box::new(RsaPrivateKey::new(&mut rand::rng(), bits).unwrap()))
    }

    fn ed25519() -> Pair {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Pair::Ed25519(Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap())
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Pair::Rsa(_) => "RS256",
            Pair::P256(_) => "ES256",
            Pair::Ed25519(_) => "EdDSA",
        }
    }

    fn sign(&self, text: &str) -> Vec<u8> {
        match self {
            Pair::Rsa(key) => {
                let digest = digest(&SHA256, text.as_bytes());
                key.sign(Pkcs1v15Sign::new::<rsa::sha2::Sha256>(), digest.as_ref()).unwrap()
            }
            Pair::P256(pair) => pair.sign(&SystemRandom::new(), text.as_bytes()).unwrap().as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.sign(text.as_bytes()).as_ref().to_vec(),
        }
    }

    /// The public key, without `alg`, `use` and `key_ops`.
    fn jwk(&self, kid: &str) -> Value {
        match self {
            Pair::Rsa(key) => {
                let n = encode(key.n_bytes());
                let e = encode(key.e_bytes());
                json!({ "kty": "RSA", "kid": kid, "n": n, "e": e })
            }
            Pair::P256(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({ "kty": "EC", "crv": "P-256", "kid": kid, "x": encode(x), "y": encode(y) })
            }
            Pair::Ed25519(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": encode(pair.public_key()) })
            }
        }
    }

    /// A token with this header and these claims.
    fn token(&self, header: &Value, claims: &Value) -> String {
        self.token_of(&header.to_string(), &claims.to_string())
    }

    fn token_of(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", encode(header), encode(claims));
        format!("{signed}.{}", encode(self.sign(&signed)))
    }

    /// A token that is as it should be, with changes of the claims.
    fn token_with(&self, changes: &Value) -> String {
        self.token(&self.header(), &claims(changes))
    }

    fn header(&self) -> Value {
        json!({ "alg": self.algorithm(), "typ": "at+jwt", "kid": self.algorithm() })
    }
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap()
}

/// Claims that are as they should be, with `changes`; one that is null is left out.
fn claims(changes: &Value) -> Value {
    let mut claims = json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "user", "client_id": "client", "scope": "products:write",
        "iat": now(), "exp": now() + 3600, "jti": "1",
    });
    change(&mut claims, changes);
    claims
}

fn change(value: &mut Value, changes: &Value) {
    let members = value.as_object_mut().unwrap();
    for (name, change) in changes.as_object().unwrap() {
        members.insert(name.clone(), change.clone());
        members.retain(|_, value| !value.is_null());
    }
}

/// A key for each algorithm, whose name is that of the algorithm.
fn all_keys() -> Vec<Value> {
    [&*RSA, &*P256, &*ED25519].map(|pair| pair.jwk(pair.algorithm())).to_vec()
}

/// Knows these keys and can ask for no others.
fn verifier(keys: &[Value]) -> Verifier {
    let rules = Rules {
        issuer: ISSUER.into(),
        audience: AUDIENCE.into(),
        leeway: Duration::from_secs(60),
        scope: "products:write".into(),
    };
    let keys = KeySet::read(json!({ "keys": keys }).to_string().as_bytes()).unwrap();
    Verifier::new(rules, Keys::fixed(keys))
}

async fn verify(token: &str) -> Result<Claims, Refused> {
    verifier(&all_keys()).verify(token).await
}
