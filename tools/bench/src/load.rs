//! Closed loops: a number of clients, each sending its next query when the last is answered. Open loops: so many queries
//! a second, answered or not.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use sqlx::{AssertSqlSafe, MySqlPool};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::queries::Query;
use crate::stats::{Latencies, median};
use farmlokal_testing::http::Client;

/// Who answers the queries.
#[derive(Clone)]
pub(crate) enum Engine {
    /// The API, over HTTP.
    Api(SocketAddr),
    /// The database alone.
    Database(MySqlPool),
}

/// What came of the queries, each with its time.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) served: Vec<Duration>,
    /// With a 503, or by the database's deadline.
    pub(crate) refused: Vec<Duration>,
    pub(crate) failed: usize,
    pub(crate) elapsed: Duration,
}

impl Outcome {
    /// Answers a second.
    pub(crate) fn rate(&self) -> f64 {
        per_second(self.served.len(), self.elapsed)
    }

    /// Two cells of a table: the median and the 99th percentile of the answers' times in milliseconds.
    pub(crate) fn times(&self) -> String {
        self.served.iter().copied().collect::<Latencies>().cells()
    }

    pub(crate) fn add(&mut self, other: Outcome) {
        self.served.extend(other.served);
        self.refused.extend(other.refused);
        self.failed += other.failed;
        self.elapsed += other.elapsed;
    }
}

/// What came of several rounds.
#[derive(Default)]
pub(crate) struct Rounds {
    pub(crate) rates: Vec<f64>,
    all: Outcome,
}

impl Rounds {
    pub(crate) fn add(&mut self, round: Outcome) {
        self.rates.push(round.rate());
        self.all.add(round);
    }

    /// A row of a table: the name, the median rate, the times, and how many were refused.
    pub(crate) fn row(self, name: &str) -> String {
        let (times, refused) = (self.all.times(), self.all.refused.len());
        format!("{name} | {:.1} | {times} | {refused}", median(self.rates))
    }
}

/// Sends each query once, `clients` at a time, until they are used up or `at_most` has passed.
///
/// # Errors
/// A query is neither answered nor refused.
pub(crate) async fn closed_loop(
    engine: &Engine,
    queries: Vec<Query>,
    clients: usize,
    at_most: Duration,
) -> Result<Outcome> {
    let end = Instant::now() + at_most;
    let due = move |_| (Instant::now() < end).then(Instant::now);
    let outcome = send(engine, queries, clients, due).await?;
    ensure!(outcome.failed == 0, "{} queries failed", outcome.failed);
    Ok(outcome)
}

/// Sends so many queries a second on time, answered or not, over so many connections. A client that is kept from sending
/// waits as well: the time counts from when the query was due.
pub(crate) async fn open_loop(
    engine: &Engine,
    queries: Vec<Query>,
    rate: f64,
    connections: usize,
    duration: Duration,
) -> Result<Outcome> {
    let started = Instant::now();
    let due = move |number: usize| {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52 requests")]
        let due = started + Duration::from_secs_f64(number as f64 / rate);
        (due < started + duration).then_some(due)
    };
    send(engine, queries, connections, due).await
}

/// Sends each query when it is due, which `due` tells by its number, until there are no more or none is due any more.
async fn send(
    engine: &Engine,
    queries: Vec<Query>,
    connections: usize,
    due: impl Fn(usize) -> Option<Instant> + Copy + Send + 'static,
) -> Result<Outcome> {
    let (queries, next, started) = (Arc::new(queries), Arc::new(AtomicUsize::new(0)), Instant::now());
    let mut senders = JoinSet::new();
    for _ in 0..connections {
        let (engine, queries, next) = (engine.clone(), Arc::clone(&queries), Arc::clone(&next));
        senders.spawn(async move {
            let (mut client, mut outcome) = (None, Outcome::default());
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some((query, due)) = queries.get(number).zip(due(number)) else { break outcome };
                sleep_until(due).await;
                match ask(&engine, &mut client, query).await {
                    Ok(true) => outcome.served.push(due.elapsed()),
                    Ok(false) => outcome.refused.push(due.elapsed()),
                    Err(error) => {
                        eprintln!("{error:#}");
                        outcome.failed += 1;
                    }
                }
            }
        });
    }
    let mut all = Outcome::default();
    while let Some(outcome) = senders.join_next().await {
        all.add(outcome?);
    }
    all.elapsed = started.elapsed();
    Ok(all)
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52 requests")]
pub(crate) fn per_second(count: usize, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64()
}

/// Whether it was answered, or refused.
async fn ask(engine: &Engine, client: &mut Option<Client>, query: &Query) -> Result<bool> {
    match engine {
        Engine::Api(address) => {
            let client = client.get_or_insert_with(|| Client::new(*address));
            let status = client.get(&query.path).await?.status;
            ensure!(status == 200 || status == 503, "GET {}: {status}", query.path);
            Ok(status == 200)
        }
        Engine::Database(database) => {
            let statement = sqlx::query(AssertSqlSafe(query.statement.clone()));
            let bound = query.values.iter().fold(statement, sqlx::query::Query::bind);
            match bound.fetch_all(database).await {
                Ok(_) => Ok(true),
                // MariaDB's and MySQL's words for its deadline.
                // MariaDB stops a full-text search in its first phase by the storage engine's own number.
                Err(error) if ["interrupted", "188"].iter().any(|text| error.to_string().contains(text)) => {
                    Ok(false)
                }
                Err(error) => Err(error.into()),
            }
        }
    }
}
