//! Closed loops: a number of clients, each sending its next request when the last is answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use farmlokal_catalog::Catalog;
use tokio::task::JoinSet;

use crate::client::Client;
use crate::cold::{ColdQuery, Shape};
use crate::stats::Latencies;

/// Who answers cold queries.
#[derive(Clone)]
pub(crate) enum Engine {
    /// The API, over HTTP.
    Api(SocketAddr),
    /// The database alone, by the statement that the API would use.
    Database(Catalog),
}

/// What a run of cold queries gave.
#[derive(Clone, Default)]
pub(crate) struct Answers {
    answered: Vec<(Shape, Duration)>,
    failed: Vec<(Shape, String)>,
    elapsed: Duration,
}

impl Answers {
    /// Adds another run's.
    pub(crate) fn add(&mut self, other: Answers) {
        self.answered.extend(other.answered);
        self.failed.extend(other.failed);
        self.elapsed += other.elapsed;
    }

    /// The latencies of the shapes that `which` takes.
    pub(crate) fn latencies(&self, which: impl Fn(Shape) -> bool) -> Latencies {
        self.answered.iter().filter(|(shape, _)| which(*shape)).map(|(_, took)| *took).collect()
    }

    /// How many queries of the shapes that `which` takes failed.
    pub(crate) fn failures(&self, which: impl Fn(Shape) -> bool) -> usize {
        self.failed.iter().filter(|(shape, _)| which(*shape)).count()
    }

    /// # Errors
    /// Some queries failed; names one of them.
    pub(crate) fn ensure_all_answered(&self) -> Result<()> {
        match self.failed.first() {
            None => Ok(()),
            Some((_, first)) => bail!("{} lists failed, the first: {first}", self.failed.len()),
        }
    }

    /// Answered queries per second.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52 queries")]
    pub(crate) fn rate(&self) -> f64 {
        self.answered.len() as f64 / self.elapsed.as_secs_f64()
    }
}

/// Sends each query once, `clients` at a time, until they are used up or `at_most` has passed.
pub(crate) async fn send_each_once(
    engine: &Engine,
    queries: Vec<ColdQuery>,
    clients: usize,
    at_most: Duration,
) -> Result<Answers> {
    let queries = Arc::new(queries);
    let next = Arc::new(AtomicUsize::new(0));
    let started = Instant::now();
    let mut workers = JoinSet::new();
    for _ in 0..clients {
        let (mut worker, queries, next) = (Worker::new(engine), Arc::clone(&queries), Arc::clone(&next));
        workers.spawn(async move {
            let mut answers = Answers::default();
            while started.elapsed() < at_most {
                let Some(query) = queries.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
                let sent = Instant::now();
                match worker.send(query).await {
                    Ok(()) => answers.answered.push((query.shape, sent.elapsed())),
                    Err(failure) => {
                        answers.failed.push((query.shape, format!("{}: {failure:#}", query.path)));
                    }
                }
            }
            answers
        });
    }
    let mut answers = Answers::default();
    while let Some(worker) = workers.join_next().await {
        answers.add(worker?);
    }
    answers.elapsed = started.elapsed();
    Ok(answers)
}

enum Worker {
    Api(Client),
    Database(Catalog),
}

impl Worker {
    fn new(engine: &Engine) -> Worker {
        match engine {
            Engine::Api(address) => Worker::Api(Client::new(*address)),
            Engine::Database(catalog) => Worker::Database(catalog.clone()),
        }
    }

    async fn send(&mut self, query: &ColdQuery) -> Result<()> {
        match self {
            Worker::Api(client) => {
                let answer = client.get(&query.path).await?;
                ensure!(answer.is_ok(), "status {}", answer.status);
            }
            Worker::Database(catalog) => {
                catalog.list(&query.query).await?;
            }
        }
        Ok(())
    }
}
