//! Against an API server that minds versions; time runs ahead wherever everybody waits.

use super::*;
use crate::tests::{FakeApi, NAMESPACE};

const DURATION: Duration = Duration::from_secs(8);
const RETRY_PERIOD: Duration = Duration::from_secs(2);

fn candidate(api: &FakeApi, identity: &str) -> Elector {
    let leases = Api::namespaced(api.client(), NAMESPACE);
    Elector::new(leases, "controller".to_owned(), identity.to_owned(), DURATION, RETRY_PERIOD)
}

async fn elected(api: &FakeApi, identity: &str) -> Elector {
    let mut candidate = candidate(api, identity);
    assert!(candidate.acquire(&Readiness::default()).await);
    candidate
}

/// Whether it is elected within this time.
async fn is_elected_within(api: &FakeApi, identity: &str, limit: Duration) -> bool {
    tokio::time::timeout(limit, elected(api, identity)).await.is_ok()
}

const PATH: &str = "/apis/coordination.k8s.io/v1/namespaces/farm/leases/controller";

/// Makes another replica the holder.
async fn take(api: &FakeApi, identity: &str) {
    let leases: Api<Lease> = Api::namespaced(api.client(), NAMESPACE);
    let mut taken = leases.get("controller").await.unwrap();
    taken.spec.as_mut().unwrap().holder_identity = Some(identity.to_owned());
    api.put(PATH, serde_json::to_value(&taken).unwrap());
}

async fn lease(api: &FakeApi) -> LeaseSpec {
    let leases: Api<Lease> = Api::namespaced(api.client(), NAMESPACE);
    leases.get("controller").await.unwrap().spec.unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_first_leads_and_the_others_wait_for_as_long_as_it_renews() {
    let api = FakeApi::default();
    let mut one = elected(&api, "one").await;
    let renewing = tokio::spawn(async move { one.renew_until_lost().await });
    assert!(!is_elected_within(&api, "two", 10 * DURATION).await);
    assert!(!renewing.is_finished());
    let lease = lease(&api).await;
    assert_eq!(lease.holder_identity.as_deref(), Some("one"));
    assert_eq!((lease.lease_duration_seconds, lease.lease_transitions), (Some(8), Some(0)));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_given_back_is_taken_at_the_next_look() {
    let api = FakeApi::default();
    let one = elected(&api, "one").await;
    let two = tokio::spawn({
        let api = api.clone();
        async move { elected(&api, "two").await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!two.is_finished());
    one.release().await;
    tokio::time::sleep(RETRY_PERIOD).await;
    assert!(two.is_finished());
    assert_eq!(lease(&api).await.holder_identity.as_deref(), Some("two"));
    assert_eq!(lease(&api).await.lease_transitions, Some(1));
}

#[tokio::test(start_paused = true)]
async fn the_lease_of_one_that_was_killed_expires() {
    let api = FakeApi::default();
    let usable_until = elected(&api, "one").await.usable_until;
    let two = tokio::spawn({
        let api = api.clone();
        async move { elected(&api, "two").await }
    });
    // It has to stop by itself before anybody else starts.
    tokio::time::sleep_until(usable_until).await;
    assert!(!two.is_finished());
    tokio::time::timeout(DURATION, two).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_that_is_started_again_goes_on_at_once() {
    let api = FakeApi::default();
    drop(elected(&api, "one").await);
    assert!(
        is_elected_within(&api, "one", Duration::ZERO).await
            || is_elected_within(&api, "one", RETRY_PERIOD).await
    );
    assert_eq!(lease(&api).await.lease_transitions, Some(0));
}

#[tokio::test(start_paused = true)]
async fn of_many_that_see_a_lease_expire_one_leads() {
    let api = FakeApi::default();
    drop(elected(&api, "killed").await);
    let (sender, mut leaders) = tokio::sync::mpsc::unbounded_channel();
    for number in 0..10 {
        let (api, sender) = (api.clone(), sender.clone());
        tokio::spawn(async move {
            let mut leadership = elected(&api, &format!("candidate-{number}")).await;
            sender.send(number).unwrap();
            leadership.renew_until_lost().await;
        });
    }
    leaders.recv().await.unwrap();
    assert!(tokio::time::timeout(5 * DURATION, leaders.recv()).await.is_err(), "two lead");
}

/// Two that read the same version: the second write fails, whatever both believe.
#[tokio::test(start_paused = true)]
async fn a_write_that_comes_second_takes_nothing() {
    let api = FakeApi::default();
    let mut candidate = candidate(&api, "one");
    for method in ["POST", "PUT"] {
        api.fail(method, &[409]);
        assert!(candidate.try_and_log().await.is_none() && candidate.usable_until <= Instant::now());
        assert_eq!(candidate.try_and_log().await, Some(true));
        candidate = self::candidate(&api, "one");
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_not_heard_stops_before_the_others_start() {
    let api = FakeApi::default();
    let mut one = elected(&api, "one").await;
    let since = Instant::now();
    api.fail("PUT", &[503; 1000]);
    let lost = one.renew_until_lost().await;
    assert!(lost == EXPIRED && one.usable_until <= Instant::now());
    assert!(since.elapsed() < DURATION, "{:?}", since.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_leader_whose_api_server_hangs_stops_to_the_moment() {
    let api = FakeApi::default();
    let mut one = elected(&api, "one").await;
    let usable_until = one.usable_until;
    api.hang();
    assert_eq!(one.renew_until_lost().await, EXPIRED);
    // The timer's own grain.
    assert!(Instant::now() <= usable_until + Duration::from_millis(1));
}

#[tokio::test(start_paused = true)]
async fn a_leader_outlasts_a_short_outage() {
    let api = FakeApi::default();
    let mut one = elected(&api, "one").await;
    api.fail("PUT", &[503; 5]);
    assert!(tokio::time::timeout(10 * DURATION, one.renew_until_lost()).await.is_err());
    assert!(one.usable_until > Instant::now());
}

/// A renewal whose answer was lost, or an annotation that somebody set, is not the end.
#[tokio::test(start_paused = true)]
async fn a_lease_that_somebody_touched_is_still_held() {
    let api = FakeApi::default();
    let mut one = elected(&api, "one").await;
    api.fail("PUT", &[409]);
    assert!(tokio::time::timeout(2 * DURATION, one.renew_until_lost()).await.is_err());
    assert!(one.usable_until > Instant::now());
    take(&api, "two").await;
    assert_eq!(one.renew_until_lost().await, TAKEN);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_was_deleted_is_made_anew_unless_another_one_is_faster() {
    let api = FakeApi::default();
    let mut one = elected(&api, "one").await;
    api.remove(PATH);
    assert!(tokio::time::timeout(2 * DURATION, one.renew_until_lost()).await.is_err());
    assert_eq!(lease(&api).await.holder_identity.as_deref(), Some("one"));
    api.remove(PATH);
    elected(&api, "two").await;
    assert_eq!(one.renew_until_lost().await, TAKEN);
}

/// It was renewed at the moment in which this replica was told to end, and the answer was not waited for.
#[tokio::test(start_paused = true)]
async fn a_lease_that_changed_meanwhile_is_given_back_all_the_same() {
    let api = FakeApi::default();
    let one = elected(&api, "one").await;
    api.fail("PUT", &[409]);
    one.release().await;
    assert_eq!(lease(&api).await.holder_identity, None);

    let one = elected(&api, "one").await;
    take(&api, "two").await;
    one.release().await;
    assert_eq!(lease(&api).await.holder_identity.as_deref(), Some("two"), "another one's is left alone");
}

#[tokio::test(start_paused = true)]
async fn a_candidate_that_is_told_to_end_leaves_no_lease_behind() {
    let api = FakeApi::default();
    let readiness = Readiness::default();
    readiness.stop.cancel();
    // Taken at the last moment: whoever asked gives it back.
    assert!(candidate(&api, "one").acquire(&readiness).await);
    assert!(!candidate(&api, "two").acquire(&readiness).await);
}
