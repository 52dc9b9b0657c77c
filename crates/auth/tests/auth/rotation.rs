use farmlokal_auth::Refused;
use farmlokal_sandbox::{Algorithm, Rotation};
use futures::future::join_all;

use crate::fixture::{Fixture, with_kid};

#[tokio::test]
async fn a_token_of_the_issuer_speaks_for_its_client() {
    let fixture = Fixture::start().await;
    let claims = fixture.verifier.authorize(&fixture.token().await).await.unwrap();
    assert_eq!(
        (claims.subject.as_str(), claims.client_id.as_deref()),
        ("farmlokal@clients", Some("farmlokal"))
    );
    assert!(claims.has("products:write") && claims.has("other"));
    assert_eq!(fixture.sandbox.counters().discovery.requests, 1);
}

#[tokio::test]
async fn tokens_of_the_new_key_and_of_the_old_one_verify_while_both_are_published() {
    let fixture = Fixture::start().await;
    let old = fixture.token().await;
    fixture.sandbox.rotate_keys(Rotation { algorithm: Algorithm::EdDsa, ..Rotation::default() }).unwrap();
    let new = fixture.token().await;
    assert!(fixture.verify(&new).await.is_ok());
    assert!(fixture.verify(&old).await.is_ok());
    assert_eq!(fixture.fetches(), 2);
}

#[tokio::test]
async fn tokens_of_a_withdrawn_key_are_refused() {
    let fixture = Fixture::start().await;
    let old = fixture.token().await;
    fixture.sandbox.rotate_keys(Rotation { keep_old: false, ..Rotation::default() }).unwrap();
    let new = fixture.token().await;
    assert!(fixture.verify(&new).await.is_ok());
    assert_eq!(fixture.verify(&old).await, Err(Refused::UnknownKey));
}

#[tokio::test]
async fn tokens_of_a_key_that_is_not_published_are_refused() {
    let fixture = Fixture::start().await;
    let old = fixture.token().await;
    fixture.sandbox.rotate_keys(Rotation { publish: false, ..Rotation::default() }).unwrap();
    assert_eq!(fixture.verify(&fixture.token().await).await, Err(Refused::UnknownKey));
    assert!(fixture.verify(&old).await.is_ok());
}

#[tokio::test]
async fn a_storm_of_unknown_keys_has_the_issuer_asked_once() {
    let fixture = Fixture::start().await;
    let token = fixture.token().await;
    let storm = (0..500).map(|number| {
        let (forged, fixture) = (with_kid(&token, &number.to_string()), &fixture);
        async move { fixture.verify(&forged).await }
    });
    // The last ones find too many waiting.
    let refused = |result| matches!(result, Err(Refused::UnknownKey | Refused::Unavailable));
    assert!(join_all(storm).await.into_iter().all(refused));
    for number in 500..600 {
        assert_eq!(fixture.verify(&with_kid(&token, &number.to_string())).await, Err(Refused::UnknownKey));
    }
    assert_eq!(fixture.fetches(), 2);
    assert!(fixture.verify(&token).await.is_ok());
}

#[tokio::test]
async fn tokens_of_another_issuer_have_nobody_asked() {
    let (fixture, other) = (Fixture::start().await, Fixture::start().await);
    let token = other.token().await;
    assert_eq!(fixture.verify(&token).await, Err(Refused::Issuer));
    assert_eq!(fixture.fetches(), 1);
}
