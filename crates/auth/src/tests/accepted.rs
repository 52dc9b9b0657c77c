use serde_json::{Value, json};

use super::*;

#[tokio::test]
async fn a_token_of_each_algorithm_is_accepted() {
    for pair in [&*RSA, &*P256, &*ED25519] {
        let claims = verify(&pair.token_with(&json!({}))).await.unwrap();
        let expected = Claims {
            subject: "user".into(),
            client_id: Some("client".into()),
            scopes: vec!["products:write".into()],
        };
        assert_eq!(claims, expected, "{}", pair.algorithm());
    }
}

#[tokio::test]
async fn types_of_access_tokens_and_no_type_are_accepted() {
    for typ in [json!("at+jwt"), json!("AT+JWT"), json!("application/at+jwt"), json!("JWT"), Value::Null] {
        let mut header = ED25519.header();
        change(&mut header, &json!({ "typ": typ }));
        let token = ED25519.token(&header, &claims(&json!({})));
        assert!(verify(&token).await.is_ok(), "{typ}");
    }
}

#[tokio::test]
async fn the_audience_may_be_one_of_several() {
    let token = ED25519.token_with(&json!({ "aud": ["https://other.test", AUDIENCE] }));
    assert!(verify(&token).await.is_ok());
}

#[tokio::test]
async fn scopes_are_those_of_all_issuers() {
    for (changes, scopes) in [
        (json!({ "scope": " a  b " }), vec!["a", "b"]),
        (json!({ "scope": null, "scp": ["a", "b"] }), vec!["a", "b"]),
        (json!({ "scope": null, "scp": "a b" }), vec!["a", "b"]),
        (json!({ "scope": "openid", "permissions": ["a"] }), vec!["openid", "a"]),
        (json!({ "scope": null }), vec![]),
        (json!({ "scope": 5, "scp": { "a": true }, "permissions": [{ "rsname": "a" }] }), vec![]),
    ] {
        let claims = verify(&ED25519.token_with(&changes)).await.unwrap();
        assert_eq!(claims.scopes, scopes, "{changes}");
        assert!(scopes.iter().all(|scope| claims.has(scope)) && !claims.has("c") && !claims.has(""));
    }
}

#[tokio::test]
async fn a_token_without_the_scope_speaks_for_somebody_who_may_not_write() {
    let verifier = verifier(&all_keys());
    assert!(verifier.authorize(&ED25519.token_with(&json!({}))).await.is_ok());
    for scope in ["products:read", "products:write:all", "PRODUCTS:WRITE", ""] {
        let token = ED25519.token_with(&json!({ "scope": scope }));
        assert!(verifier.verify(&token).await.is_ok());
        assert_eq!(verifier.authorize(&token).await, Err(Refused::Scope), "{scope}");
    }
}

#[tokio::test]
async fn the_client_is_client_id_or_azp() {
    for (changes, client) in [
        (json!({ "azp": "other" }), Some("client")),
        (json!({ "client_id": null, "azp": "other" }), Some("other")),
        (json!({ "client_id": null }), None),
    ] {
        let claims = verify(&ED25519.token_with(&changes)).await.unwrap();
        assert_eq!(claims.client_id.as_deref(), client, "{changes}");
    }
}

/// The leeway of these tests is a minute. Times have fractions at some issuers.
#[tokio::test]
async fn clocks_may_be_apart_by_the_leeway() {
    let changes = json!({ "exp": now() - 20, "nbf": now() + 20, "iat": now() + 20 });
    assert!(verify(&ED25519.token_with(&changes)).await.is_ok());
    let changes = json!({ "exp": 4e9 + 0.5, "nbf": 0.5, "iat": -5 });
    assert!(verify(&ED25519.token_with(&changes)).await.is_ok());
}

#[tokio::test]
async fn the_only_key_of_an_issuer_needs_no_name() {
    let mut header = P256.header();
    change(&mut header, &json!({ "kid": null }));
    let token = P256.token(&header, &claims(&json!({})));
    let mut unnamed = P256.jwk("");
    change(&mut unnamed, &json!({ "kid": null }));
    assert!(verifier(&[unnamed]).verify(&token).await.is_ok());
    assert!(verifier(&[P256.jwk("a")]).verify(&token).await.is_ok());
    let two = [P256.jwk("a"), ED25519.jwk("b")];
    assert_eq!(verifier(&two).verify(&token).await, Err(Refused::UnknownKey));
}

#[tokio::test]
async fn keys_of_one_name_are_told_apart_by_their_algorithm() {
    let verifier = verifier(&[RSA.jwk("k"), ED25519.jwk("k")]);
    for pair in [&*RSA, &*ED25519] {
        let token = pair.token(&json!({ "alg": pair.algorithm(), "kid": "k" }), &claims(&json!({})));
        assert!(verifier.verify(&token).await.is_ok(), "{}", pair.algorithm());
    }
}

#[test]
fn the_client_is_told_no_more_than_the_rfc_has() {
    let errors = Refused::ALL.map(|refused| (refused.reason(), refused.error()));
    for (reason, error) in errors {
        let expected = match reason {
            "missing" | "unavailable" => None,
            "scope" => Some("insufficient_scope"),
            _ => Some("invalid_token"),
        };
        assert_eq!(error, expected, "{reason}");
    }
    assert_eq!(errors.iter().map(|(reason, _)| reason).collect::<std::collections::HashSet<_>>().len(), 13);
}
