//! Readers and a writer on caches of several processes, and what each answer must not be older than.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use farmlokal_cache::{Cache, Key};
use tokio::{task::JoinHandle, time::sleep};

use crate::fixture::{Layer, Text, config, connected, eventually, text};

/// Products, of all hash tags. So many that changing each takes longer than a failover goes unnoticed.
const PRODUCTS: usize = 128;

/// A product as the database has it, and when which version was invalidated.
#[derive(Default)]
struct Product {
    version: AtomicU64,
    settled: Mutex<Vec<(Instant, u64)>>,
}

impl Product {
    fn settled_by(&self, time: Instant) -> u64 {
        let settled = self.settled.lock().unwrap();
        settled.iter().rev().find(|(at, _)| *at <= time).map_or(0, |(_, version)| *version)
    }
}

/// A database, two processes in front of it, one of which writes, and their load.
pub(crate) struct Shop {
    pub(crate) writer: Cache<Text>,
    pub(crate) reader: Cache<Text>,
    products: Arc<[Product]>,
    stop: Arc<AtomicBool>,
    /// Nothing is changed: what a failover has made stale no later change mends.
    pub(crate) quiet: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
    reads: Arc<AtomicU64>,
    pub(crate) writes: Arc<AtomicU64>,
    pub(crate) failed_writes: Arc<AtomicU64>,
}

impl Shop {
    /// Both processes read without the in-process layer, from which nothing stale may come once a change is invalidated, and
    /// with it. `late` is what the documentation allows where another process has changed it.
    pub(crate) async fn open(url: &str, late: Late) -> Shop {
        Shop::open_with(url, url, late).await
    }

    /// With other URLs for the process that writes and the one that does not.
    pub(crate) async fn open_with(writer: &str, reader: &str, late: Late) -> Shop {
        let mut impatient = config(Layer::On);
        impatient.redis_timeout = Duration::from_millis(300);
        let (writer, reader) = (connected(writer, &impatient).await, connected(reader, &impatient).await);
        let mut shop = Shop {
            writer,
            reader,
            products: (0..PRODUCTS).map(|_| Product::default()).collect(),
            stop: Arc::default(),
            quiet: Arc::default(),
            tasks: Vec::new(),
            reads: Arc::default(),
            writes: Arc::default(),
            failed_writes: Arc::default(),
        };
        for cache in [shop.writer.clone(), shop.reader.clone()] {
            for first in 0..3 {
                shop.tasks.push(tokio::spawn(shop.read(cache.clone(), first, true, late.validated)));
                shop.tasks.push(tokio::spawn(shop.read(cache.clone(), first, false, late.in_process)));
            }
        }
        shop.tasks.push(tokio::spawn(shop.write()));
        shop.goes_on().await;
        shop
    }

    fn read(
        &self,
        cache: Cache<Text>,
        first: usize,
        validated: bool,
        late: Duration,
    ) -> impl Future<Output = ()> + use<> {
        let (products, stop, reads) =
            (Arc::clone(&self.products), Arc::clone(&self.stop), Arc::clone(&self.reads));
        async move {
            let mut n = first;
            while !stop.load(Ordering::Relaxed) {
                n += 5;
                let (id, is_list) = (n % PRODUCTS, n.is_multiple_of(3));
                let key =
                    if is_list { Key::List(format!("list of {id}").into()) } else { Key::Item(id as u64) };
                let asked = Instant::now();
                let least = products[id].settled_by(asked.checked_sub(late).unwrap());
                let database = Arc::clone(&products);
                let fill = move || async move {
                    let version = database[id].version.load(Ordering::SeqCst);
                    // The query takes time, in which it may be changed.
                    sleep(Duration::from_millis(2)).await;
                    Ok(text(version.to_string()))
                };
                let lookup = if validated {
                    cache.get_validated(&key, fill).await
                } else {
                    cache.get_or_fill(&key, fill).await
                };
                let lookup = lookup.expect("no request fails");
                // Some operations of Redis, each of which may take 300 ms, and a query.
                assert!(asked.elapsed() < Duration::from_secs(2), "{key:?} took {:?}", asked.elapsed());
                let version: u64 = String::from_utf8(lookup.value.0.to_vec()).unwrap().parse().unwrap();
                assert!(
                    version >= least,
                    "{key:?} from {:?} is {version}, not {least}; validated: {validated}",
                    lookup.source
                );
                reads.fetch_add(1, Ordering::Relaxed);
                sleep(Duration::from_millis(1)).await;
            }
        }
    }

    fn write(&self) -> impl Future<Output = ()> + use<> {
        let (products, stop, cache) =
            (Arc::clone(&self.products), Arc::clone(&self.stop), self.writer.clone());
        let (writes, failed) = (Arc::clone(&self.writes), Arc::clone(&self.failed_writes));
        let quiet = Arc::clone(&self.quiet);
        async move {
            let mut n = 0;
            while !stop.load(Ordering::Relaxed) {
                if quiet.load(Ordering::Relaxed) {
                    sleep(Duration::from_millis(10)).await;
                    continue;
                }
                n += 1;
                let id = n % PRODUCTS;
                let product = &products[id];
                let version = product.version.fetch_add(1, Ordering::SeqCst) + 1;
                // Its sender sends it again until it is taken.
                while let Err(error) = cache.invalidate_products(&[id as u64]).await {
                    failed.fetch_add(1, Ordering::Relaxed);
                    eprintln!("not invalidated: {error:?}");
                    sleep(Duration::from_millis(50)).await;
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                }
                product.settled.lock().unwrap().push((Instant::now(), version));
                writes.fetch_add(1, Ordering::Relaxed);
                sleep(Duration::from_millis(10)).await;
            }
        }
    }

    /// Waits until readers and writer have seen the present state of things.
    pub(crate) async fn goes_on(&self) {
        let before = (self.reads.load(Ordering::Relaxed), self.writes.load(Ordering::Relaxed));
        eventually("readers and writer go on", async || {
            for task in &self.tasks {
                assert!(!task.is_finished(), "a reader has failed");
            }
            self.reads.load(Ordering::Relaxed) > before.0 + 300
                && (self.quiet.load(Ordering::Relaxed) || self.writes.load(Ordering::Relaxed) > before.1 + 40)
        })
        .await;
    }

    /// Stops changing things, when what was changed last is read by all.
    pub(crate) async fn be_quiet(&self) {
        self.quiet.store(true, Ordering::Relaxed);
        sleep(Duration::from_millis(100)).await;
    }

    pub(crate) async fn be_loud(&self) {
        self.quiet.store(false, Ordering::Relaxed);
        self.goes_on().await;
    }

    /// Both processes use Redis and their in-process layer.
    pub(crate) fn is_well(&self) -> bool {
        [&self.writer, &self.reader].iter().all(|cache| cache.state().up && cache.state().subscribed)
    }

    pub(crate) async fn recovers(&self) {
        eventually("Redis and the in-process layers are used again", async || self.is_well()).await;
        self.goes_on().await;
    }

    pub(crate) async fn close(self) {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        assert!(self.writes.load(Ordering::Relaxed) > 0);
    }
}

/// For how long an answer may be older than what is invalidated.
#[derive(Clone, Copy)]
pub(crate) struct Late {
    pub(crate) validated: Duration,
    pub(crate) in_process: Duration,
}

/// Without a failover.
pub(crate) const USUAL: Late = Late { validated: Duration::ZERO, in_process: Duration::from_millis(1500) };
