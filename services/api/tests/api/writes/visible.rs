//! What was acknowledged is seen by whoever asks afterwards, in every replica: items, lists and searches.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::fixture::{Client, Writer};
use crate::harness::{Answer, PATIENCE, Process, fetch};

const WORKERS: u64 = 6;
/// What is not invalidated is stale for longer than a test takes.
const CACHED: [(&str, &str); 2] = [("CACHE_TTL", "10m"), ("LOCAL_CACHE_TTL", "10m")];

/// Name and price in cents.
type Row = (String, u64);

/// One who writes products of a category of his own, and reads each change from every replica.
struct Worker {
    number: u64,
    client: Client,
    replicas: Vec<String>,
    /// Headers of reads.
    headers: &'static [(&'static str, &'static str)],
    /// What must be found.
    products: BTreeMap<u64, Row>,
    reads: Arc<AtomicUsize>,
    refused: Arc<AtomicUsize>,
}

fn row(product: &Value) -> (u64, Row) {
    let cents = (product["price"].as_f64().unwrap() * 100.0).round() as u64;
    (product["id"].as_u64().unwrap(), (product["name"].as_str().unwrap().to_owned(), cents))
}

impl Worker {
    async fn work(mut self, enough: usize) {
        for step in 0.. {
            if self.reads.load(Ordering::Relaxed) >= enough {
                return;
            }
            let changed = self.write(step).await;
            for id in changed {
                let expected = self.products.get(&id).cloned();
                let path = format!("/products/{id}");
                let found = |answer: &Answer| (answer.status == 200).then(|| row(&answer.json()).1);
                for replica in &self.replicas {
                    self.expect(replica, &path, &expected, found).await;
                }
            }
            let list = format!("/products?category=shelf{}&sort=id&limit=100", self.number);
            let found = |answer: &Answer| {
                answer.json()["data"].as_array().unwrap().iter().map(row).collect::<BTreeMap<_, _>>()
            };
            // The list comes from the database, and the search from the index.
            for path in [list.clone(), format!("{list}&search=cheese&total=true")] {
                for replica in &self.replicas {
                    self.expect(replica, &path, &self.products, found).await;
                }
            }
        }
    }

    /// Reads what must be found. What another process has in its memory it may serve until the push from Redis reaches it,
    /// except to who wants none: see the bounds in docs/caching.md.
    async fn expect<T: PartialEq + Debug>(
        &self,
        replica: &str,
        path: &str,
        expected: &T,
        found: impl Fn(&Answer) -> T,
    ) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.read(replica, path).await;
            let found = found(&answer);
            if found == *expected {
                return;
            }
            let status = answer.headers.get("cache-status").map(|status| status.to_str().unwrap());
            let is_from_memory = status.is_some_and(|status| status.ends_with("detail=memory"));
            assert!(
                self.headers.is_empty() && is_from_memory && replica != self.client.base,
                "{path}: {found:?}, not {expected:?}: {answer:?}"
            );
            assert!(Instant::now() < deadline, "{path} never came to it");
        }
    }

    async fn read(&self, replica: &str, path: &str) -> Answer {
        loop {
            let answer = fetch(&self.client.http, &format!("{replica}{path}"), self.headers).await.unwrap();
            // Nobody is told anything then.
            if answer.status != 503 {
                assert!(matches!(answer.status, 200 | 404), "{path}: {}", answer.text());
                self.reads.fetch_add(1, Ordering::Relaxed);
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Writes until it is acknowledged, and says what has changed.
    async fn write(&mut self, step: u64) -> Vec<u64> {
        let (name, cents) = (format!("Cheese {}x{step}", self.number), step * 7 + 1);
        let product = json!({
            "name": name, "description": "", "category": format!("shelf{}", self.number), "price": cents as f64 / 100.0,
        });
        let new = (name.clone(), cents);
        let id = self.products.keys().nth(usize::try_from(step % 5).unwrap()).copied();
        let path = |id: u64| format!("/products/{id}");
        let own = 10_000 * (self.number + 1) + step;
        let kind = if self.products.len() > 12 { 4 } else { step % 6 };
        match (kind, id) {
            (1, _) => {
                self.send("PUT", &path(own), step, &product).await;
                self.products.insert(own, new);
                vec![own]
            }
            (2, Some(id)) => {
                let change = json!({"price": product["price"]});
                self.send("PATCH", &path(id), step, &change).await;
                self.products.get_mut(&id).unwrap().1 = cents;
                vec![id]
            }
            (3, Some(id)) => {
                self.send("PUT", &path(id), step, &product).await;
                self.products.insert(id, new);
                vec![id]
            }
            (4, Some(id)) => {
                self.send("DELETE", &path(id), step, &Value::Null).await;
                self.products.remove(&id);
                vec![id]
            }
            (5, Some(id)) => {
                let operations = json!({"operations": [
                    {"action": "create", "product": product}, {"action": "patch", "id": id, "product": {"name": name}},
                ]});
                let answer = self.send("POST", "/products/batch", step, &operations).await;
                let created = answer.json()["results"][0]["id"].as_u64().unwrap();
                self.products.get_mut(&id).unwrap().0 = name;
                self.products.insert(created, new);
                vec![created, id]
            }
            _ => {
                let answer = self.send("POST", "/products", step, &product).await;
                let (id, created) = row(&answer.json());
                self.products.insert(id, created);
                vec![id]
            }
        }
    }

    async fn send(&self, method: &str, path: &str, step: u64, body: &Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let key = format!("{} {step}", self.number);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.client.send(method, path, &[("idempotency-key", &key)], &body).await.unwrap();
            match answer.status {
                200 | 201 | 204 => return answer,
                503 => drop(self.refused.fetch_add(1, Ordering::Relaxed)),
                _ => panic!("{method} {path}: {}", answer.text()),
            }
            assert!(Instant::now() < deadline, "{}", answer.text());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Three replicas, who must not keep anybody waiting for a connection.
async fn three() -> (Writer, [Process; 2]) {
    let settings = [&CACHED[..], &[("DB_ACQUIRE_TIMEOUT", "20s"), ("REQUEST_TIMEOUT", "20s")]].concat();
    let writer = Writer::start_with(30, &settings).await;
    // Ids that the database gives are higher than those that the workers choose.
    let last = json!({"name": "Last", "description": "", "category": "last", "price": 1});
    assert_eq!(writer.put(1_000_000, &[], &last).await.status, 201);
    let others = [(); 2].map(|()| writer.api.replica(&[&writer.settings()[..], &settings].concat()));
    for other in &others {
        other.until("/readyz", |answer| answer.status == 200).await;
        other.until("/health", |answer| answer.json()["status"] == "ok").await;
    }
    writer.api.until("/health", |answer| answer.json()["status"] == "ok").await;
    (writer, others)
}

struct Workers {
    tasks: Vec<JoinHandle<()>>,
    reads: Arc<AtomicUsize>,
    refused: Arc<AtomicUsize>,
}

impl Workers {
    /// Who write through all replicas until there were enough reads.
    fn start(
        writer: &Writer,
        others: &[Process],
        headers: &'static [(&'static str, &'static str)],
        enough: usize,
    ) -> Workers {
        let (reads, refused) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let mut replicas = vec![writer.api.url("")];
        replicas.extend(others.iter().map(|other| format!("http://{}", other.address("listening"))));
        let tasks = (0..WORKERS).map(|number| {
            let base = replicas[usize::try_from(number).unwrap() % replicas.len()].clone();
            let worker = Worker {
                number,
                client: Client { base, ..writer.client() },
                replicas: replicas.clone(),
                headers,
                products: BTreeMap::new(),
                reads: Arc::clone(&reads),
                refused: Arc::clone(&refused),
            };
            tokio::spawn(worker.work(enough))
        });
        Workers { tasks: tasks.collect(), reads, refused }
    }

    async fn end(self) -> usize {
        for task in self.tasks {
            task.await.unwrap();
        }
        self.refused.load(Ordering::Relaxed)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn none_of_ten_thousand_reads_without_memory_through_three_replicas_is_stale() {
    let (writer, others) = three().await;
    Workers::start(&writer, &others, &[("cache-control", "no-cache")], 10_000).end().await;
}

/// Whoever is told that the cache was not invalidated sends the write again. What is acknowledged then is seen everywhere.
#[tokio::test(flavor = "multi_thread")]
async fn nor_is_one_behind_a_write_that_was_sent_again_when_redis_was_back() {
    let (mut writer, others) = three().await;
    let workers = Workers::start(&writer, &others, &[], 2_500);
    let progress = async |reads: usize| {
        while workers.reads.load(Ordering::Relaxed) < reads
            && !workers.tasks.iter().all(JoinHandle::is_finished)
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    for reads in [300, 900, 1_500] {
        progress(reads).await;
        // What it knew is still there afterwards.
        writer.api.redis.pause().unwrap();
        tokio::time::sleep(Duration::from_millis(700)).await;
        writer.api.redis.resume().unwrap();
        progress(reads + 300).await;
        writer.api.redis.stop().unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        writer.api.redis.start_again().unwrap();
    }
    let refused = workers.end().await;
    assert!(refused > 0, "Redis was never missed");
}
