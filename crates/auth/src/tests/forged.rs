//! Tokens that somebody would like to be believed. Each is as it should be in all but one respect.

use ring::hmac;
use rsa::Pss;
use serde_json::json;

use super::*;

/// A good token of `pair` with changes of the header.
fn with_header(pair: &Pair, changes: &Value) -> String {
    let mut header = pair.header();
    change(&mut header, changes);
    pair.token(&header, &claims(&json!({})))
}

async fn assert_refused(token: &str, refused: Refused) {
    assert_eq!(verify(token).await, Err(refused), "{token}");
}

#[tokio::test]
async fn no_token() {
    assert_refused("", Refused::Missing).await;
}

#[tokio::test]
async fn nonsense() {
    for text in [" ", ".", "..", "a.b", "a.b.c", "{}.{}.", "e30.e30.", "e30.e30.e30", "ä.ö.ü", "\0.\0.\0"]
    {
        assert_refused(text, Refused::Malformed).await;
    }
}

#[tokio::test]
async fn algorithm_none() {
    for name in ["none", "None", "NONE", "nOnE", ""] {
        let header = json!({ "alg": name, "typ": "at+jwt", "kid": "RS256" });
        let signed = format!("{}.{}", encode(header.to_string()), encode(claims(&json!({})).to_string()));
        assert_refused(&format!("{signed}."), Refused::Algorithm).await;
        assert_refused(&with_header(&RSA, &json!({ "alg": name })), Refused::Algorithm).await;
    }
}

#[tokio::test]
async fn no_signature_under_a_good_algorithm() {
    for pair in [&*RSA, &*P256, &*ED25519] {
        let token = pair.token_with(&json!({}));
        let (signed, _) = token.rsplit_once('.').unwrap();
        assert_refused(&format!("{signed}."), Refused::Signature).await;
    }
}

#[tokio::test]
async fn hs256_with_the_public_key_as_the_secret() {
    for pair in [&*RSA, &*P256, &*ED25519] {
        let jwk = pair.jwk(pair.algorithm());
        let texts =
            jwk.as_object().unwrap().values().map(|value| value.as_str().unwrap().as_bytes().to_vec());
        let numbers = ["n", "x"].iter().filter_map(|name| jwk[name].as_str());
        let bytes = numbers.map(|text| URL_SAFE_NO_PAD.decode(text).unwrap());
        for secret in texts.chain(bytes).chain([jwk.to_string().into_bytes()]) {
            let header = json!({ "alg": "HS256", "typ": "at+jwt", "kid": pair.algorithm() });
            let claims = claims(&json!({}));
            let signed = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), signed.as_bytes());
            assert_refused(&format!("{signed}.{}", encode(tag)), Refused::Algorithm).await;
        }
    }
}

#[tokio::test]
async fn an_algorithm_that_is_not_in_the_list() {
    for name in ["RS384", "RS512", "PS256", "ES384", "ES256K", "ES512", "rs256", "RSA-OAEP", "dir", "RS256 "]
    {
        assert_refused(&with_header(&RSA, &json!({ "alg": name })), Refused::Algorithm).await;
    }
}

#[tokio::test]
async fn an_algorithm_that_is_not_the_keys() {
    for (pair, algorithm) in [(&*RSA, "ES256"), (&*P256, "EdDSA"), (&*ED25519, "RS256")] {
        assert_refused(&with_header(pair, &json!({ "alg": algorithm })), Refused::Algorithm).await;
    }
}

#[tokio::test]
async fn a_pss_signature_under_rs256() {
    let Pair::Rsa(key) = &*RSA else { unreachable!() };
    let signed = format!("{}.{}", encode(RSA.header().to_string()), encode(claims(&json!({})).to_string()));
    let digest = digest(&SHA256, signed.as_bytes());
    let pss = Pss::<rsa::sha2::Sha256>::new();
    let signature = key.sign_with_rng(&mut rand::rng(), pss, digest.as_ref()).unwrap();
    assert_refused(&format!("{signed}.{}", encode(signature)), Refused::Signature).await;
}

#[tokio::test]
async fn another_issuer() {
    for issuer in [
        json!("https://issuer.test"),
        json!("https://issuer.test//"),
        json!("HTTPS://issuer.test/"),
        json!(null),
    ] {
        assert_refused(&ED25519.token_with(&json!({ "iss": issuer })), Refused::Issuer).await;
    }
}

#[tokio::test]
async fn several_issuers() {
    assert_refused(&ED25519.token_with(&json!({ "iss": [ISSUER] })), Refused::Malformed).await;
}

#[tokio::test]
async fn another_audience() {
    for audience in [
        json!("https://other.test"),
        json!("https://api.test/"),
        json!("https://api.tes"),
        json!(["a", "https://api.test "]),
        json!([[AUDIENCE]]),
        json!({ AUDIENCE: true }),
        json!([]),
        json!(null),
    ] {
        assert_refused(&ED25519.token_with(&json!({ "aud": audience })), Refused::Audience).await;
    }
}

#[tokio::test]
async fn expired() {
    for expires in [json!(now() - 100), json!(0), json!(-1e300), json!(1.5)] {
        assert_refused(&ED25519.token_with(&json!({ "exp": expires })), Refused::Expired).await;
    }
}

#[tokio::test]
async fn without_an_end() {
    assert_refused(&ED25519.token_with(&json!({ "exp": null })), Refused::Expired).await;
}

#[tokio::test]
async fn an_end_that_is_no_number() {
    let later = (now() + 3600).to_string();
    assert_refused(&ED25519.token_with(&json!({ "exp": later })), Refused::Malformed).await;
    let claims = claims(&json!({ "exp": 4_102_444_800_u64 })).to_string().replace("4102444800", "1e999");
    assert!(claims.contains("1e999"));
    assert_refused(&ED25519.token_of(&ED25519.header().to_string(), &claims), Refused::Malformed).await;
}

#[tokio::test]
async fn not_valid_yet() {
    assert_refused(&ED25519.token_with(&json!({ "nbf": now() + 300 })), Refused::NotYet).await;
}

#[tokio::test]
async fn issued_in_the_future() {
    assert_refused(&ED25519.token_with(&json!({ "iat": now() + 300 })), Refused::NotYet).await;
}

#[tokio::test]
async fn without_a_subject() {
    for subject in [json!(null), json!("")] {
        assert_refused(&ED25519.token_with(&json!({ "sub": subject })), Refused::Malformed).await;
    }
}

#[tokio::test]
async fn the_name_of_another_key() {
    let stranger = Pair::ed25519();
    assert_refused(&stranger.token_with(&json!({})), Refused::Signature).await;
}

#[tokio::test]
async fn the_name_of_no_key() {
    for kid in ["", "eddsa", "EdDSA ", "../EdDSA", "' OR 1=1", "https://evil.test/jwks.json"] {
        assert_refused(&with_header(&ED25519, &json!({ "kid": kid })), Refused::UnknownKey).await;
    }
}

#[tokio::test]
async fn a_key_of_its_own() {
    let stranger = Pair::ed25519();
    for changes in [
        json!({ "jwk": stranger.jwk("EdDSA") }),
        json!({ "jku": "https://evil.test/jwks.json", "x5u": "https://evil.test/x", "x5c": ["MII="] }),
    ] {
        assert_refused(&with_header(&stranger, &changes), Refused::Signature).await;
    }
}

/// A good token of the issuer's key with these members, as anybody gets one who may have that key used.
async fn of_key(pair: &Pair, members: &Value) -> Result<Claims, Refused> {
    let mut jwk = pair.jwk("k");
    change(&mut jwk, members);
    let token = with_header(pair, &json!({ "kid": "k" }));
    verifier(&[jwk, P256.jwk("other")]).verify(&token).await
}

#[tokio::test]
async fn a_key_of_another_use() {
    assert_eq!(of_key(&RSA, &json!({ "use": "enc" })).await, Err(Refused::UnknownKey));
    assert!(of_key(&RSA, &json!({ "use": "sig" })).await.is_ok());
}

#[tokio::test]
async fn a_key_for_other_operations() {
    for operations in [json!(["encrypt", "wrapKey"]), json!(["sign"]), json!([])] {
        assert_eq!(of_key(&RSA, &json!({ "key_ops": operations })).await, Err(Refused::UnknownKey));
    }
    assert!(of_key(&RSA, &json!({ "key_ops": ["verify"] })).await.is_ok());
}

#[tokio::test]
async fn a_key_for_another_algorithm() {
    for algorithm in ["PS256", "RS512", "RSA-OAEP-256", "ES256", "HS256", "none"] {
        assert_eq!(of_key(&RSA, &json!({ "alg": algorithm })).await, Err(Refused::UnknownKey), "{algorithm}");
    }
    assert!(of_key(&RSA, &json!({ "alg": "RS256" })).await.is_ok());
}

#[tokio::test]
async fn a_short_rsa_key() {
    for bits in [1024, 2040] {
        assert_eq!(of_key(&Pair::rsa(bits), &json!({})).await, Err(Refused::UnknownKey), "{bits}");
    }
}

#[tokio::test]
async fn oversized() {
    let padded = |length| ED25519.token_with(&json!({ "padding": "x".repeat(length) }));
    assert!(verify(&padded(11_000)).await.is_ok());
    let long = padded(13_000);
    assert!(long.len() > 16 * 1024);
    assert_refused(&long, Refused::TooLarge).await;
    assert_refused(&"x".repeat(10_000_000), Refused::TooLarge).await;
}

#[tokio::test]
async fn nested() {
    let inner = ED25519.token_with(&json!({}));
    let header = ED25519.header().to_string();
    for claims in [inner.clone(), format!("{inner:?}")] {
        assert_refused(&ED25519.token_of(&header, &claims), Refused::Malformed).await;
    }
    for cty in ["JWT", "jwt", "application/json"] {
        assert_refused(&with_header(&ED25519, &json!({ "cty": cty })), Refused::Type).await;
    }
}

#[tokio::test]
async fn encrypted() {
    let header = encode(json!({ "alg": "RSA-OAEP-256", "enc": "A256GCM", "kid": "RS256" }).to_string());
    assert_refused(&format!("{header}.a2V5.aXY.dGV4dA.dGFn"), Refused::Algorithm).await;
    // Five parts under a good header.
    let token = ED25519.token_with(&json!({}));
    let (header, rest) = token.split_once('.').unwrap();
    assert_refused(&format!("{header}.a2V5.aXY.{rest}"), Refused::Malformed).await;
}

#[tokio::test]
async fn critical_extensions() {
    for critical in [json!(["b64"]), json!(["exp"]), json!([]), json!("")] {
        let changes = json!({ "crit": critical, "b64": false });
        assert_refused(&with_header(&ED25519, &changes), Refused::Type).await;
    }
}

#[tokio::test]
async fn another_type() {
    for typ in ["logout+jwt", "dpop+jwt", "secevent+jwt", "JOSE", "id+jwt", ""] {
        assert_refused(&with_header(&ED25519, &json!({ "typ": typ })), Refused::Type).await;
    }
}

#[tokio::test]
async fn members_that_are_there_twice() {
    let (header, claims) = (ED25519.header().to_string(), claims(&json!({})).to_string());
    let twice = |text: &str, member: &str| text.replacen('{', &format!("{{{member},"), 1);
    let token = ED25519.token_of(&twice(&header, r#""alg":"none""#), &claims);
    assert_refused(&token, Refused::Malformed).await;
    for member in
        [r#""iss":"https://evil.test""#, r#""exp":9999999999"#, r#""\u0061ud":"a""#, r#""sub":"root""#]
    {
        let token = ED25519.token_of(&header, &twice(&claims, member));
        assert_refused(&token, Refused::Malformed).await;
    }
}

#[tokio::test]
async fn lists_in_place_of_objects() {
    let claims = claims(&json!({})).to_string();
    let token = ED25519.token_of(r#"["EdDSA","EdDSA","at+jwt",null,null]"#, &claims);
    assert_refused(&token, Refused::Malformed).await;
}

#[tokio::test]
async fn base64_that_is_not_joses() {
    let token = ED25519.token_with(&json!({}));
    for bad in [format!("{token}="), format!("{token}=="), format!("{token}\n"), format!(" {token}")] {
        assert_refused(&bad, Refused::Malformed).await;
    }
    let standard = token.replace('-', "+").replace('_', "/");
    assert!(standard == token || verify(&standard).await.is_err());
}

#[tokio::test]
async fn the_signature_of_another_token() {
    let (mine, admins) = (ED25519.token_with(&json!({})), ED25519.token_with(&json!({ "sub": "admin" })));
    let (_, signature) = mine.rsplit_once('.').unwrap();
    let (signed, _) = admins.rsplit_once('.').unwrap();
    assert_refused(&format!("{signed}.{signature}"), Refused::Signature).await;
}

/// CVE-2022-21449: a verifier that computes with zeros takes them for anybody's signature.
#[tokio::test]
async fn a_signature_of_zeros() {
    for (pair, length) in [(&*P256, 64), (&*ED25519, 64), (&*RSA, 256)] {
        let token = pair.token_with(&json!({}));
        let (signed, _) = token.rsplit_once('.').unwrap();
        assert_refused(&format!("{signed}.{}", encode(vec![0; length])), Refused::Signature).await;
    }
}

#[tokio::test]
async fn an_ecdsa_signature_in_asn1() {
    use ring::signature::ECDSA_P256_SHA256_ASN1_SIGNING as ASN1;
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ASN1, &random).unwrap();
    let [asn1, fixed] = [&ASN1, &ECDSA_P256_SHA256_FIXED_SIGNING]
        .map(|algorithm| EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap());
    let jwk = Pair::P256(fixed).jwk("ES256");
    let token = Pair::P256(asn1).token_with(&json!({}));
    assert_eq!(verifier(&[jwk]).verify(&token).await, Err(Refused::Signature));
}
