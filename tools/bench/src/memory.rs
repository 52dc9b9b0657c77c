//! The API's memory under load, beyond what its in-process cache may hold.

use std::time::Duration;

use anyhow::Result;

use crate::cold::Queries;
use crate::environment::Environment;
use crate::load::{Engine, send_each_once};
use crate::report::{Report, mebibytes};
use crate::server::Server;
use crate::wrk;

/// What the in-process cache may hold.
const CACHE_MIB: u64 = 64;
/// Says so, and that nothing leaves the cache but for want of room: with the default 5 s it would never fill.
const SETTINGS: [(&str, &str); 3] =
    [("LOCAL_CACHE_MIB", "64"), ("LOCAL_CACHE_TTL", "1h"), ("CACHE_TTL", "1h")];
const CONNECTIONS: u32 = 512;
/// Distinct lists of each of the 64 shapes, some 11 KB each by the cache's count: more than it holds.
const QUERIES: usize = 150;

/// Fills the in-process cache with distinct lists, then loads the API with many connections.
pub(crate) async fn bench(environment: &Environment, duration: Duration) -> Result<()> {
    let catalog = Environment::catalog(&environment.database_url)?;
    let mut queries = Queries::sample(&catalog).await?;
    let api = Server::api(environment, &environment.database_url, &SETTINGS).await?;
    let command = "cargo run --release -p farmlokal-bench -- bench memory";
    let mut report = Report::new("memory", "The API's memory under load", command);
    let mut rows = Vec::new();
    let mut note = |after: &str| -> Result<u64> {
        let memory = api.process().memory()?;
        rows.push([after.to_owned(), mebibytes(memory.now), mebibytes(memory.peak)]);
        Ok(memory.peak)
    };

    note("start")?;
    let cold = queries.of_each(|_| true, QUERIES)?;
    let lists = cold.len();
    send_each_once(&Engine::Api(api.address), cold, 64, Duration::from_secs(120)).await?;
    note(&format!("{lists} distinct lists at 64 connections"))?;
    for path in ["/products?limit=20", "/products?limit=100"] {
        wrk::run(&api.url(path), CONNECTIONS, duration).await?;
        note(&format!("`{path}` at {CONNECTIONS} connections for {} s", duration.as_secs()))?;
    }
    let peak = note("the end")?;

    report.say("The in-process cache keeps what it has for an hour instead of 5 s, so that it fills.");
    report.table(["after", "resident", "peak"], rows);
    report.say(&format!(
        "The peak is {} beyond the {CACHE_MIB} MiB that the in-process cache may hold.",
        mebibytes(peak.saturating_sub(CACHE_MIB << 20))
    ));
    report.finish(&environment.root)
}
