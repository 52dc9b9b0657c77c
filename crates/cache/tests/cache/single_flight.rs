use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use farmlokal_cache::{Cache, Source};
use farmlokal_devstack::Redis;
use tokio::sync::Semaphore;

use crate::fixture::{Layer, Text, answer, config, connected, eventually, get, key, seen, start, text};

/// A fill that counts its runs and waits for permission to answer.
#[derive(Clone)]
struct GatedFill {
    runs: Arc<AtomicUsize>,
    opened: Arc<Semaphore>,
}

impl GatedFill {
    fn new() -> Self {
        Self { runs: Arc::default(), opened: Arc::new(Semaphore::new(0)) }
    }

    fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }

    async fn started(&self) {
        eventually("the fill starts", async || self.runs() > 0).await;
    }

    fn open(&self) {
        self.opened.close();
    }

    async fn run(self, result: Result<Text, &'static str>) -> Result<Text, &'static str> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        let _ = self.opened.acquire().await;
        result
    }

    async fn get(&self, cache: &Cache<Text>, value: &'static str) -> (String, Source) {
        let fill = self.clone();
        seen(cache.get_or_fill(&key("key"), move || fill.run(Ok(text(value)))).await.unwrap())
    }
}

async fn sixty_four_identical_misses(cache: &Cache<Text>) {
    let fill = GatedFill::new();
    let callers: Vec<_> = (0..64)
        .map(|_| {
            let (cache, fill) = (cache.clone(), fill.clone());
            tokio::spawn(async move { fill.get(&cache, "value").await })
        })
        .collect();
    fill.started().await;
    fill.open();
    for caller in callers {
        assert_eq!(caller.await.unwrap().0, "value");
    }
    assert_eq!(fill.runs(), 1);
}

#[tokio::test]
async fn sixty_four_identical_misses_run_one_fill() {
    let redis = Redis::start().unwrap();
    for layer in [Layer::On, Layer::Off] {
        let cache = connected(redis.url(), &config(layer)).await;
        cache.flush().await.unwrap();
        sixty_four_identical_misses(&cache).await;
    }
}

#[tokio::test]
async fn identical_misses_share_a_fill_also_without_redis() {
    let mut redis = Redis::start().unwrap();
    let config = config(Layer::Off);
    redis.stop().unwrap();
    sixty_four_identical_misses(&start(redis.url(), &config).unwrap()).await;
}

#[tokio::test]
async fn a_caller_that_goes_away_takes_nothing_from_the_others() {
    let redis = Redis::start().unwrap();
    let cache = connected(redis.url(), &config(Layer::Off)).await;
    let fill = GatedFill::new();
    let first = tokio::spawn({
        let (cache, fill) = (cache.clone(), fill.clone());
        async move { fill.get(&cache, "value").await }
    });
    fill.started().await;
    let second = tokio::spawn({
        let (cache, fill) = (cache.clone(), fill.clone());
        async move { fill.get(&cache, "value").await }
    });
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    fill.open();
    assert_eq!(second.await.unwrap().0, "value");
    assert_eq!(fill.runs(), 1);
}

#[tokio::test]
async fn a_fill_that_nobody_waits_for_is_stored() {
    let redis = Redis::start().unwrap();
    let cache = connected(redis.url(), &config(Layer::Off)).await;
    let fill = GatedFill::new();
    let only = tokio::spawn({
        let (cache, fill) = (cache.clone(), fill.clone());
        async move { fill.get(&cache, "value").await }
    });
    fill.started().await;
    only.abort();
    fill.open();
    // An answer by another fill would be a Miss.
    let other = connected(redis.url(), &config(Layer::Off)).await;
    eventually("the value is in Redis", async || {
        let found = other.get_or_fill(&key("key"), || std::future::ready(Err("the database is down"))).await;
        found.is_ok_and(|lookup| seen(lookup) == answer("value", Source::Redis))
    })
    .await;
}

#[tokio::test]
async fn callers_share_an_error_which_is_not_cached() {
    let redis = Redis::start().unwrap();
    let cache = connected(redis.url(), &config(Layer::On)).await;
    let fill = GatedFill::new();
    let ask = || {
        let (cache, fill) = (cache.clone(), fill.clone());
        tokio::spawn(
            async move { cache.get_or_fill(&key("key"), move || fill.run(Err("no"))).await.unwrap_err() },
        )
    };
    let callers = [ask(), ask(), ask()];
    fill.started().await;
    // Those still on their way would start a fill of their own, and see an error of their own.
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    fill.open();
    let mut errors = Vec::new();
    for caller in callers {
        errors.push(caller.await.unwrap());
    }
    assert!(errors.iter().all(|error| Arc::ptr_eq(error, &errors[0])), "{errors:?}");
    assert_eq!(get(&cache, "key", "value").await, answer("value", Source::Miss));
}

#[tokio::test]
async fn a_panicking_fill_reaches_its_caller_and_nobody_after() {
    let redis = Redis::start().unwrap();
    let cache = connected(redis.url(), &config(Layer::On)).await;
    let caller = tokio::spawn({
        let cache = cache.clone();
        async move {
            cache
                .get_or_fill(&key("key"), || async {
                    assert!(std::hint::black_box(false), "on purpose");
                    Ok(text("never"))
                })
                .await
        }
    });
    assert!(caller.await.unwrap_err().is_panic());
    assert_eq!(get(&cache, "key", "value").await, answer("value", Source::Miss));
}

/// The race that the protocol is about, step by step: the database is asked, a write is committed and flushed,
/// and only then the old answer arrives.
#[tokio::test]
async fn a_request_after_a_flush_neither_joins_nor_sees_a_fill_from_before() {
    let redis = Redis::start().unwrap();
    for layer in [Layer::On, Layer::Off] {
        let cache = connected(redis.url(), &config(layer)).await;
        let other = connected(redis.url(), &config(layer)).await;
        cache.flush().await.unwrap();
        let fill = GatedFill::new();
        let before = tokio::spawn({
            let (cache, fill) = (cache.clone(), fill.clone());
            async move { fill.get(&cache, "old").await }
        });
        fill.started().await;
        cache.flush().await.unwrap();

        assert_eq!(get(&cache, "key", "new").await, answer("new", Source::Miss), "{layer:?}");
        fill.open();
        assert_eq!(before.await.unwrap(), answer("old", Source::Miss));
        for _ in 0..50 {
            assert_eq!(get(&cache, "key", "new").await.0, "new", "{layer:?}");
            assert_eq!(get(&other, "key", "new").await.0, "new", "{layer:?}");
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    }
}

/// As above, but nothing refills the key in between, so that a late fill would find nothing in its way.
#[tokio::test]
async fn a_fill_that_a_flush_overtook_is_not_stored() {
    let redis = Redis::start().unwrap();
    for layer in [Layer::On, Layer::Off] {
        let cache = connected(redis.url(), &config(layer)).await;
        cache.flush().await.unwrap();
        let fill = GatedFill::new();
        let before = tokio::spawn({
            let (cache, fill) = (cache.clone(), fill.clone());
            async move { fill.get(&cache, "old").await }
        });
        fill.started().await;
        cache.flush().await.unwrap();
        fill.open();
        assert_eq!(before.await.unwrap(), answer("old", Source::Miss));
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;

        assert_eq!(cache.flush().await.unwrap().keys, 0, "{layer:?}: the old answer is in Redis");
        assert_eq!(get(&cache, "key", "new").await, answer("new", Source::Miss), "{layer:?}");
    }
}
