//! When keys are fetched, by a clock that stands still unless it is moved.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, advance, sleep};

use super::*;
use crate::fetch::{FetchError, Fetched};
use crate::key::Algorithm;
use crate::keys::{Keys, MAX_WAITING, keep};

/// What the issuer does from now on.
#[derive(Clone, Copy)]
enum Issuer {
    /// Answers with a key of this name.
    Has(&'static str, Option<u64>),
    Down,
    /// Answers with the key after a second.
    Slow(&'static str),
}

struct Fixture {
    keys: Arc<Keys>,
    attempts: Arc<AtomicUsize>,
    issuer: tokio::sync::watch::Sender<Issuer>,
    /// When each attempt began.
    begun: mpsc::UnboundedReceiver<Instant>,
    tasks: JoinSet<()>,
}

impl Fixture {
    fn start(issuer: Issuer) -> Fixture {
        let (issuer, says) = tokio::sync::watch::channel(issuer);
        let (sender, begun) = mpsc::unbounded_channel();
        let attempts = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&attempts);
        let (keys, refresh) = keep(move || {
            counter.fetch_add(1, Relaxed);
            sender.send(Instant::now()).unwrap();
            let issuer = *says.borrow();
            async move {
                let (kid, max_age) = match issuer {
                    Issuer::Down => return Err(FetchError::Invalid("down")),
                    Issuer::Has(kid, max_age) => (kid, max_age),
                    Issuer::Slow(kid) => {
                        sleep(Duration::from_secs(1)).await;
                        (kid, None)
                    }
                };
                let keys =
                    KeySet::read(json!({ "keys": [ED25519.jwk(kid)] }).to_string().as_bytes()).unwrap();
                Ok(Fetched { keys, max_age: max_age.map(Duration::from_secs) })
            }
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(refresh);
        Fixture { keys: Arc::new(keys), attempts, issuer, begun, tasks }
    }

    async fn find(&self, kid: &str) -> Result<(), Refused> {
        self.keys.find(Algorithm::EdDsa, Some(kid)).await.map(drop)
    }

    fn attempts(&self) -> usize {
        self.attempts.load(Relaxed)
    }

    /// The pause before the next attempt that nobody asks for. The clock moves to it by itself.
    async fn next_pause(&mut self) -> Duration {
        let now = Instant::now();
        self.begun.recv().await.unwrap() - now
    }
}

#[tokio::test(start_paused = true)]
async fn all_who_come_before_the_first_answer_wait_for_it() {
    let fixture = Fixture::start(Issuer::Slow("a"));
    let mut callers = JoinSet::new();
    for _ in 0..100 {
        let keys = Arc::clone(&fixture.keys);
        callers.spawn(async move { keys.find(Algorithm::EdDsa, Some("a")).await.map(drop) });
    }
    assert!(callers.join_all().await.into_iter().all(|found| found.is_ok()));
    assert_eq!(fixture.attempts(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_key_is_fetched_at_once_by_one_for_all() {
    let fixture = Fixture::start(Issuer::Has("a", None));
    fixture.find("a").await.unwrap();
    fixture.issuer.send_replace(Issuer::Slow("b"));
    let mut callers = JoinSet::new();
    for caller in 0..100 {
        let keys = Arc::clone(&fixture.keys);
        let kid = if caller % 2 == 0 { "b" } else { "c" };
        callers.spawn(async move { (kid, keys.find(Algorithm::EdDsa, Some(kid)).await.is_ok()) });
    }
    assert!(callers.join_all().await.into_iter().all(|(kid, is_found)| is_found == (kid == "b")));
    assert_eq!(fixture.attempts(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_slow_issuer_holds_so_many_callers_and_no_more() {
    let fixture = Fixture::start(Issuer::Slow("a"));
    let mut callers = JoinSet::new();
    for _ in 0..MAX_WAITING + 7 {
        let keys = Arc::clone(&fixture.keys);
        callers.spawn(async move { keys.find(Algorithm::EdDsa, Some("a")).await.map(drop) });
    }
    let refused = callers.join_all().await.into_iter().filter_map(Result::err).collect::<Vec<_>>();
    assert_eq!(refused, [Refused::Unavailable; 7]);
    fixture.find("a").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn unknown_keys_have_the_issuer_asked_every_5_s_at_most() {
    let fixture = Fixture::start(Issuer::Has("a", None));
    for _ in 0..100 {
        for kid in ["b", "c", "", "a "] {
            assert_eq!(fixture.find(kid).await, Err(Refused::UnknownKey));
        }
        advance(Duration::from_millis(100)).await;
    }
    // The first one, and those at 0 s and 5 s.
    assert_eq!(fixture.attempts(), 3);
    fixture.find("a").await.unwrap();
    fixture.issuer.send_replace(Issuer::Has("b", None));
    advance(Duration::from_secs(5)).await;
    fixture.find("b").await.unwrap();
    assert_eq!(fixture.attempts(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_takes_no_attempt_with_it() {
    let fixture = Fixture::start(Issuer::Has("a", None));
    fixture.find("a").await.unwrap();
    fixture.issuer.send_replace(Issuer::Slow("b"));
    let gone = tokio::time::timeout(Duration::from_millis(10), fixture.find("b")).await;
    assert!(gone.is_err());
    fixture.find("b").await.unwrap();
    assert_eq!(fixture.attempts(), 2);
}

#[tokio::test(start_paused = true)]
async fn keys_are_refreshed_ahead_as_the_issuer_says_within_bounds() {
    for (max_age, seconds) in [(None, 600), (Some(300), 300), (Some(0), 60), (Some(86_400), 600)] {
        let mut fixture = Fixture::start(Issuer::Has("a", max_age));
        fixture.find("a").await.unwrap();
        fixture.begun.recv().await.unwrap();
        for _ in 0..3 {
            assert_eq!(fixture.next_pause().await.as_secs(), seconds, "{max_age:?}");
        }
        assert!(!fixture.tasks.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_keys_go_on_while_the_issuer_is_down() {
    let mut fixture = Fixture::start(Issuer::Has("a", None));
    fixture.find("a").await.unwrap();
    fixture.issuer.send_replace(Issuer::Down);
    fixture.begun.recv().await.unwrap();
    fixture.begun.recv().await.unwrap();
    for attempt in 0..20 {
        let pause = fixture.next_pause().await;
        assert!(pause >= Duration::from_secs(1) && pause <= Duration::from_secs(120), "{attempt}: {pause:?}");
    }
    advance(Duration::from_hours(24)).await;
    fixture.find("a").await.unwrap();
    assert_eq!(fixture.find("b").await, Err(Refused::UnknownKey));
    fixture.issuer.send_replace(Issuer::Has("b", None));
    advance(Duration::from_secs(120)).await;
    fixture.find("b").await.unwrap();
    // The old key was withdrawn.
    assert_eq!(fixture.find("a").await, Err(Refused::UnknownKey));
}

#[tokio::test(start_paused = true)]
async fn without_any_keys_tokens_cannot_be_verified_until_the_issuer_answers() {
    let fixture = Fixture::start(Issuer::Down);
    assert_eq!(fixture.find("a").await, Err(Refused::Unavailable));
    fixture.issuer.send_replace(Issuer::Has("a", None));
    advance(Duration::from_secs(5)).await;
    fixture.find("a").await.unwrap();
}

/// The task has ended: nobody waits for what will not come.
#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_task_that_is_gone() {
    let mut fixture = Fixture::start(Issuer::Has("a", None));
    fixture.find("a").await.unwrap();
    fixture.tasks.shutdown().await;
    let before = Instant::now();
    assert_eq!(fixture.find("b").await, Err(Refused::UnknownKey));
    fixture.find("a").await.unwrap();
    assert_eq!(Instant::now(), before);
}
