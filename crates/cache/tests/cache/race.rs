//! Readers in several processes race writers that flush or name what they changed, over hundreds of products. Each
//! product is read as an item and as the only one of a list.
//!
//! The database is a second Redis: a version number for each product, which only grows. `flushed` holds the version of
//! each up to which a flush or an invalidation has returned; no read that begins after that may see an older one.
//!
//! The same harness runs against a plain cache-aside, where it must find stale answers: a harness that cannot
//! would prove nothing.

use std::{
    collections::{HashMap, VecDeque},
    process::Stdio,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use farmlokal_cache::{Cache, Flusher, Key, RedisConfig, Source};
use farmlokal_devstack::Redis;
use redis::{AsyncCommands, aio::MultiplexedConnection};

use crate::fixture::{Layer, Text, config, connected, raw, text};

const KEYS: u64 = 300;
const TASKS: u64 = 8;
const WRITERS: u64 = 2;
const WRITING: Duration = Duration::from_secs(6);
/// The documented bound on what the in-process layer may serve after a flush.
const LEASE: Duration = Duration::from_millis(1500);

/// What is raced. Each reader is a process with one of these in it.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Subject {
    Protocol(Layer),
    CacheAside,
}

impl Subject {
    const ALL: [Self; 3] = [Self::Protocol(Layer::On), Self::Protocol(Layer::Off), Self::CacheAside];

    fn name(self) -> String {
        format!("{self:?}")
    }
}

/// What a reader process found.
#[derive(Default, Debug)]
struct Findings {
    reads: u64,
    /// Reads that saw a version older than one whose flush had returned before they began.
    stale_reads: u64,
    /// Keys that were still stale after all writing had ended.
    left_stale: u64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_stale_is_read_after_a_flush_nor_left_behind() {
    let (cache, database) = (Redis::start().unwrap(), Redis::start().unwrap());
    let readers = [Layer::On, Layer::Off, Layer::On, Layer::Off].map(Subject::Protocol);
    let flusher = Flusher::new(&RedisConfig::new(cache.url())).unwrap();
    let flush = async |changed: &[u64]| {
        if rand::random_ratio(1, 4) {
            flusher.flush().await.unwrap();
        } else {
            flusher.invalidate_products(changed).await.unwrap();
        }
    };
    for findings in race(&cache, &database, &readers, flush).await {
        assert!(findings.reads > 1000, "too few reads to tell: {findings:?}");
        assert_eq!((findings.stale_reads, findings.left_stale), (0, 0), "{findings:?}");
    }
    assert_redis_holds_the_truth(&cache, &database).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_race_finds_a_plain_cache_aside_stale() {
    let (cache, database) = (Redis::start().unwrap(), Redis::start().unwrap());
    let readers = [Subject::CacheAside; 4];
    let flush = async |_: &[u64]| {
        let mut raw = raw(&cache).await;
        let keys: Vec<String> = raw.keys("products:*").await.unwrap();
        if !keys.is_empty() {
            raw.unlink::<_, ()>(keys).await.unwrap();
        }
    };
    let stale: u64 =
        race(&cache, &database, &readers, flush).await.iter().map(|found| found.stale_reads).sum();
    assert!(stale > 0, "the harness cannot see stale reads");
}

async fn race(
    cache: &Redis,
    database: &Redis,
    readers: &[Subject],
    flush: impl AsyncFn(&[u64]),
) -> Vec<Findings> {
    let processes: Vec<_> = readers
        .iter()
        .map(|subject| {
            tokio::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "race::reader_process", "--ignored", "--nocapture"])
                .env("RACE_SUBJECT", subject.name())
                .env("RACE_CACHE", cache.url())
                .env("RACE_DATABASE", database.url())
                .stdout(Stdio::piped())
                .kill_on_drop(true)
                .spawn()
                .unwrap()
        })
        .collect();
    let mut truth = raw(database).await;
    while truth.scard::<_, u64>("ready").await.unwrap() < readers.len() as u64 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let until = Instant::now() + WRITING;
    let write = async |writer: u64| {
        let mut truth = truth.clone();
        while Instant::now() < until {
            // Each writer has keys of its own, so that `flushed` never goes back.
            let keys: Vec<u64> =
                (0..KEYS).filter(|key| key % WRITERS == writer && rand::random_ratio(1, 3)).collect();
            let mut write = redis::pipe();
            for key in &keys {
                write.hincr("truth", key, 1);
            }
            let versions: Vec<u64> = write.query_async(&mut truth).await.unwrap();
            flush(&keys).await;
            let written: Vec<(u64, u64)> = keys.into_iter().zip(versions).collect();
            truth.hset_multiple::<_, _, _, ()>("flushed", &written).await.unwrap();
            // Long enough for what is stale to be seen before the next flush removes it.
            tokio::time::sleep(Duration::from_millis(rand::random_range(100..200))).await;
        }
    };
    tokio::join!(write(0), write(1));
    truth.set::<_, _, ()>("finished", 1).await.unwrap();
    let mut findings = Vec::new();
    for process in processes {
        let output = process.wait_with_output().await.unwrap();
        assert!(output.status.success());
        findings.push(parse(&String::from_utf8(output.stdout).unwrap()));
    }
    findings
}

/// What the readers left in Redis: an entry that is served must be the truth. The fill fails, so that only what
/// was there is seen.
async fn assert_redis_holds_the_truth(cache: &Redis, database: &Redis) {
    let mut truth = raw(database).await;
    let versions: HashMap<u64, u64> = truth.hgetall("truth").await.unwrap();
    let reader = connected(cache.url(), &config(Layer::Off)).await;
    let mut found = 0;
    for product in 0..KEYS {
        for key in [item(product), list(product)] {
            let lookup = reader.get_or_fill(&key, || std::future::ready(Err("the database is down"))).await;
            if let Ok(lookup) = lookup {
                assert_eq!(lookup.source, Source::Redis);
                assert_eq!(version(&lookup.value), versions.get(&product).copied().unwrap_or(0), "{key:?}");
                found += 1;
            }
        }
    }
    assert!(found > KEYS, "only {found} keys were in Redis");
}

/// Not a test: the race starts it as a process of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a part of the race, which starts it"]
async fn reader_process() {
    let Ok(name) = std::env::var("RACE_SUBJECT") else { return };
    let subject = Subject::ALL.into_iter().find(|subject| subject.name() == name).unwrap();
    let connect = async |variable| {
        let client = redis::Client::open(std::env::var(variable).unwrap()).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    };
    let mut database = connect("RACE_DATABASE").await;
    let tier = match subject {
        Subject::Protocol(layer) => {
            let mut config = config(layer);
            // Busy as the machine is here, a time-out would only mean that less is raced.
            config.redis_timeout = Duration::from_secs(2);
            Tier::Protocol(connected(std::env::var("RACE_CACHE").unwrap(), &config).await)
        }
        Subject::CacheAside => Tier::CacheAside(connect("RACE_CACHE").await),
    };
    let reader = Arc::new(Reader {
        tier,
        database: database.clone(),
        flushed: Flushed::new(if subject == Subject::Protocol(Layer::On) { LEASE } else { Duration::ZERO }),
        reads: AtomicU64::new(0),
        stale_reads: AtomicU64::new(0),
        finished: AtomicBool::new(false),
    });
    database.sadd::<_, _, ()>("ready", std::process::id()).await.unwrap();
    let mut tasks = Vec::new();
    for _ in 0..TASKS {
        tasks.push(tokio::spawn(Arc::clone(&reader).read_until_finished()));
    }
    while !database.exists::<_, bool>("finished").await.unwrap() {
        reader.flushed.record(&mut database).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // One more bound of reading after the last flush, so that late fills have every chance to do harm.
    tokio::time::sleep(LEASE).await;
    reader.finished.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    let truth: HashMap<u64, u64> = database.hgetall("truth").await.unwrap();
    let mut left_stale = 0;
    for key in 0..KEYS {
        for asked in [item(key), list(key)] {
            left_stale += u64::from(reader.get(&asked, key).await != truth.get(&key).copied().unwrap_or(0));
        }
    }
    let (reads, stale) = (reader.reads.load(Ordering::Relaxed), reader.stale_reads.load(Ordering::Relaxed));
    println!("\nfound {reads} {stale} {left_stale}");
}

fn parse(output: &str) -> Findings {
    let line = output.lines().find_map(|line| line.strip_prefix("found ")).expect("the reader reports");
    let numbers: Vec<u64> = line.split(' ').map(|number| number.parse().unwrap()).collect();
    Findings { reads: numbers[0], stale_reads: numbers[1], left_stale: numbers[2] }
}

enum Tier {
    Protocol(Cache<Text>),
    CacheAside(MultiplexedConnection),
}

struct Reader {
    tier: Tier,
    database: MultiplexedConnection,
    flushed: Flushed,
    reads: AtomicU64,
    stale_reads: AtomicU64,
    finished: AtomicBool,
}

impl Reader {
    async fn read_until_finished(self: Arc<Self>) {
        while !self.finished.load(Ordering::Relaxed) {
            let key = rand::random_range(0..KEYS);
            let at_least = self.flushed.at_least(key);
            let asked = if rand::random() { item(key) } else { list(key) };
            if self.get(&asked, key).await < at_least {
                self.stale_reads.fetch_add(1, Ordering::Relaxed);
            }
            self.reads.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    }

    async fn get(&self, asked: &Key, key: u64) -> u64 {
        let database = self.database.clone();
        match &self.tier {
            Tier::Protocol(cache) => {
                let fill = move || async move { Ok(text(query(database, key).await.to_string())) };
                version(&cache.get_or_fill(asked, fill).await.unwrap().value)
            }
            Tier::CacheAside(redis) => {
                let (mut redis, name) = (redis.clone(), format!("products:{asked:?}"));
                if let Some(hit) = redis.get::<_, Option<u64>>(&name).await.unwrap() {
                    return hit;
                }
                let value = query(database, key).await;
                redis.set_ex::<_, _, ()>(&name, value, 60).await.unwrap();
                value
            }
        }
    }
}

fn item(product: u64) -> Key {
    Key::Item(product)
}

fn list(product: u64) -> Key {
    Key::List(product.to_string().into())
}

/// Asks the database. The answer takes a while to arrive, which is when a flush overtakes it.
async fn query(mut database: MultiplexedConnection, key: u64) -> u64 {
    let version: Option<u64> = database.hget("truth", key).await.unwrap();
    tokio::time::sleep(Duration::from_millis(rand::random_range(0..15))).await;
    version.unwrap_or(0)
}

fn version(value: &Text) -> u64 {
    std::str::from_utf8(&value.0).unwrap().parse().unwrap()
}

/// Recent states of `flushed`, to know what had been flushed at least `before` ago.
struct Flushed {
    before: Duration,
    states: Mutex<VecDeque<(Instant, HashMap<u64, u64>)>>,
}

impl Flushed {
    fn new(before: Duration) -> Self {
        Self { before, states: Mutex::default() }
    }

    async fn record(&self, database: &mut MultiplexedConnection) {
        let state = database.hgetall("flushed").await.unwrap();
        let mut states = self.states.lock().unwrap();
        states.push_back((Instant::now(), state));
        while states.get(1).is_some_and(|(at, _)| at.elapsed() >= self.before) {
            states.pop_front();
        }
    }

    fn at_least(&self, key: u64) -> u64 {
        let states = self.states.lock().unwrap();
        let state = states.front().filter(|(at, _)| at.elapsed() >= self.before);
        state.and_then(|(_, versions)| versions.get(&key).copied()).unwrap_or(0)
    }
}
