use serde_json::json;

use super::*;

#[test]
fn keys_that_are_of_no_use_are_left_out() {
    let mut broken = P256.jwk("short");
    change(&mut broken, &json!({ "x": "AAAA" }));
    let mut compressed = ED25519.jwk("long");
    change(&mut compressed, &json!({ "x": encode([0; 33]) }));
    let mut zero = RSA.jwk("zero");
    change(&mut zero, &json!({ "n": encode([0; 300]) }));
    let useless = [
        json!({ "kty": "oct", "kid": "o", "k": "c2VjcmV0", "alg": "HS256" }),
        json!({ "kty": "EC", "crv": "P-384", "kid": "p", "x": "AA", "y": "AA" }),
        json!({ "kty": "OKP", "crv": "X25519", "kid": "x", "x": "AA" }),
        json!({ "kty": "RSA", "kid": "no n", "e": "AQAB" }),
        json!({ "kid": "no type" }),
        json!("text"),
        json!(null),
        broken,
        compressed,
        zero,
    ];
    for key in &useless {
        let set = json!({ "keys": [key] }).to_string();
        assert_eq!(KeySet::read(set.as_bytes()).unwrap().len(), 0, "{key}");
    }
    let keys = [all_keys(), useless.to_vec()].concat();
    let set = json!({ "keys": keys, "more": 1 }).to_string();
    assert_eq!(KeySet::read(set.as_bytes()).unwrap().len(), 3);
}

#[tokio::test]
async fn an_rsa_key_may_have_leading_zeros() {
    let mut jwk = RSA.jwk("RS256");
    let n = URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap();
    change(&mut jwk, &json!({ "n": encode([vec![0], n].concat()), "e": encode([0, 1, 0, 1]) }));
    assert!(verifier(&[jwk]).verify(&RSA.token_with(&json!({}))).await.is_ok());
}

#[test]
fn what_is_no_jwk_set_is_none() {
    for text in ["", "null", "[]", "[[]]", "{}", r#"{"keys":{}}"#, r#"{"keys":[]"#, "<html>"] {
        assert!(KeySet::read(text.as_bytes()).is_none(), "{text}");
    }
}
