use farmlokal_auth::Refused;
use farmlokal_sandbox::{Fault, Faults, Mode, Rotation};
use futures::future::join_all;

use crate::fixture::{Fixture, issuer_faults, with_kid};

const MODES: [Mode; 6] = [Mode::Error, Mode::Garbage, Mode::Empty, Mode::Truncated, Mode::Down, Mode::Reset];

#[tokio::test]
async fn the_last_keys_go_on_while_the_issuer_fails() {
    for mode in MODES {
        let fixture = Fixture::start().await;
        let token = fixture.token().await;
        fixture.sandbox.set_faults(issuer_faults(mode));
        fixture.sandbox.rotate_keys(Rotation::default()).unwrap();
        let new = fixture.token().await;
        assert_eq!(fixture.verify(&new).await, Err(Refused::UnknownKey), "{mode:?}");
        assert!(fixture.verify(&token).await.is_ok(), "{mode:?}");
        assert!(fixture.sandbox.counters().discovery.failed > 0, "{mode:?}");
    }
}

#[tokio::test]
async fn the_keys_may_fail_alone() {
    for mode in MODES {
        let fixture = Fixture::start_with(Faults { keys: mode.into(), ..Faults::default() }).await;
        assert_eq!(fixture.verify(&fixture.token().await).await, Err(Refused::Unavailable), "{mode:?}");
    }
}

#[tokio::test]
async fn without_an_answer_since_the_start_tokens_cannot_be_verified_and_later_they_can() {
    let fixture = Fixture::start_with(issuer_faults(Mode::Down)).await;
    let token = fixture.token().await;
    assert_eq!(fixture.verify(&token).await, Err(Refused::Unavailable));
    fixture.sandbox.set_faults(Faults::default());
    loop {
        match fixture.verify(&token).await {
            Ok(_) => break,
            Err(refused) => assert_eq!(refused, Refused::Unavailable),
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn all_who_come_while_a_slow_issuer_answers_share_its_answer() {
    let slow = Fault { latency_ms: 500, ..Fault::default() };
    let fixture = Fixture::start_with(Faults { keys: slow, ..Faults::default() }).await;
    let token = fixture.token().await;
    let results = join_all((0..100).map(|_| fixture.verify(&token))).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(fixture.fetches(), 1);
}

#[tokio::test]
async fn tokens_of_a_known_key_do_not_wait_for_an_issuer_that_hangs() {
    let fixture = Fixture::start().await;
    let token = fixture.token().await;
    fixture.sandbox.set_faults(issuer_faults(Mode::Hang));
    let verifier = fixture.verifier.clone();
    let unknown = with_kid(&token, "unknown");
    let unknown = tokio::spawn(async move { verifier.verify(&unknown).await });
    while fixture.sandbox.counters().discovery.requests < 2 {
        tokio::task::yield_now().await;
    }
    assert!(fixture.verify(&token).await.is_ok());
    assert!(!unknown.is_finished());
    // It does not wait for ever either.
    assert_eq!(unknown.await.unwrap(), Err(Refused::UnknownKey));
}

#[tokio::test]
async fn a_token_that_has_expired_is_refused() {
    let fixture = Fixture::start().await;
    fixture.sandbox.set_faults(Faults {
        token: Fault { expires_in: Some(-100), ..Fault::default() },
        ..Faults::default()
    });
    assert_eq!(fixture.verify(&fixture.token().await).await, Err(Refused::Expired));
}
