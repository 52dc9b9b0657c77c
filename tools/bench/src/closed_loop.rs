//! Closed loops: a number of clients, each sending its next query when the last is answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use sqlx::{AssertSqlSafe, MySqlPool};
use tokio::task::JoinSet;

use crate::client::Client;
use crate::queries::Query;

/// Who answers the queries.
#[derive(Clone)]
pub(crate) enum Engine {
    /// The API, over HTTP.
    Api(SocketAddr),
    /// The database alone. Only what one index serves.
    Database(MySqlPool),
}

/// Sends each query once, `clients` at a time, until they are used up or `at_most` has passed. Gives the answers a second
/// and the latencies; what the API refuses with a 503 is in neither.
///
/// # Errors
/// A query fails otherwise.
pub(crate) async fn send_each_once(
    engine: &Engine,
    queries: Vec<Query>,
    clients: usize,
    at_most: Duration,
) -> Result<(f64, Vec<Duration>)> {
    let (queries, next, started) = (Arc::new(queries), Arc::new(AtomicUsize::new(0)), Instant::now());
    let mut workers = JoinSet::new();
    for _ in 0..clients {
        let (engine, queries, next) = (engine.clone(), Arc::clone(&queries), Arc::clone(&next));
        workers.spawn(async move {
            let (mut client, mut times) = (None, Vec::new());
            while started.elapsed() < at_most
                && let Some(query) = queries.get(next.fetch_add(1, Ordering::Relaxed))
            {
                let sent = Instant::now();
                let served = send(&engine, &mut client, query).await?;
                times.extend(served.then(|| sent.elapsed()));
            }
            anyhow::Ok(times)
        });
    }
    let mut times = Vec::new();
    while let Some(worker) = workers.join_next().await {
        times.extend(worker??);
    }
    Ok((per_second(times.len(), started.elapsed()), times))
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52 requests")]
pub(crate) fn per_second(count: usize, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64()
}

/// Whether it was answered, or refused.
async fn send(engine: &Engine, client: &mut Option<Client>, query: &Query) -> Result<bool> {
    match engine {
        Engine::Api(address) => {
            let client = client.get_or_insert_with(|| Client::new(*address));
            let status = client.get(&query.path).await?;
            ensure!(status == 200 || status == 503, "GET {}: {status}", query.path);
            Ok(status == 200)
        }
        Engine::Database(database) => {
            let statement = sqlx::query(AssertSqlSafe(query.statement.clone()));
            let bound = query.values.iter().fold(statement, sqlx::query::Query::bind);
            bound.fetch_all(database).await?;
            Ok(true)
        }
    }
}
