//! Clients that search for common words, over and over.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::client::Client;
use crate::cold::Queries;
use crate::stats::Latencies;

/// Searches for each of the most common words.
const WORDS: usize = 20;

/// The words that most names have.
pub(crate) fn common_words(queries: &Queries) -> Vec<String> {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for name in queries.names() {
        for word in name.split(|letter: char| !letter.is_alphabetic()).filter(|word| word.len() > 2) {
            *counts.entry(word.to_lowercase()).or_default() += 1;
        }
    }
    let mut words: Vec<_> = counts.into_iter().collect();
    words.sort_by_key(|(word, count)| (std::cmp::Reverse(*count), word.clone()));
    words.into_iter().take(WORDS).map(|(word, _)| word).collect()
}

/// What a client does when its search is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Manners {
    /// Searches again at once.
    Tight,
    /// Waits as long as `Retry-After` says.
    Polite,
}

/// Clients at work.
pub(crate) struct Searchers {
    clients: JoinSet<Result<Searched>>,
    stop: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

/// What came of the searches.
#[derive(Default)]
pub(crate) struct Searched {
    served: Vec<Duration>,
    refused: Vec<Duration>,
    failed: usize,
}

impl Searchers {
    /// Sends `clients` of them off. Each query is a new one: a price filter keeps it from the caches.
    pub(crate) fn start(address: SocketAddr, clients: u64, words: &[String], manners: Manners) -> Searchers {
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let mut set = JoinSet::new();
        for number in 0..clients {
            let (stop, words) = (stop.clone(), words.to_vec());
            let mut random = StdRng::from_rng(&mut rand::rng());
            set.spawn(async move {
                let mut client = Client::new(address);
                let mut searched = Searched::default();
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    let word = words.choose(&mut random).context("no words to search for")?;
                    let price = random.random_range(1_000_000..99_999_999_u64) * 100 + number;
                    let path = format!("/products?search={word}&maxPrice={}.{:02}", price / 100, price % 100);
                    searched.one(&mut client, &path, manners).await;
                }
                Ok(searched)
            });
        }
        Searchers { clients: set, stop }
    }

    /// Calls them back and gives what they have seen.
    pub(crate) async fn stop(mut self) -> Result<Searched> {
        self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        let mut all = Searched::default();
        while let Some(searched) = self.clients.join_next().await {
            all.add(searched??);
        }
        Ok(all)
    }
}

impl Searched {
    async fn one(&mut self, client: &mut Client, path: &str, manners: Manners) {
        let sent = Instant::now();
        match client.get(path).await {
            Ok(answer) if answer.is_ok() => self.served.push(sent.elapsed()),
            Ok(answer) if answer.status == 503 || answer.status == 429 => {
                self.refused.push(sent.elapsed());
                if manners == Manners::Polite {
                    sleep(answer.retry_after.unwrap_or_default()).await;
                }
            }
            _ => self.failed += 1,
        }
    }

    pub(crate) fn add(&mut self, other: Searched) {
        self.served.extend(other.served);
        self.refused.extend(other.refused);
        self.failed += other.failed;
    }

    /// Counts and latencies as cells: served, their p50 and p99, refused, their p99, failed otherwise.
    pub(crate) fn cells(&self) -> [String; 6] {
        let served: Latencies = self.served.iter().copied().collect();
        let refused: Latencies = self.refused.iter().copied().collect();
        let [served_p50, _, served_p99, _] = served.cells();
        let [_, _, refused_p99, _] = refused.cells();
        [
            served.count().to_string(),
            served_p50,
            served_p99,
            refused.count().to_string(),
            refused_p99,
            self.failed.to_string(),
        ]
    }
}
