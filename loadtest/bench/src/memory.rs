//! The API's memory under load, beyond what its in-process cache may hold.

use std::time::Duration;

use anyhow::Result;

use crate::cold::Queries;
use crate::environment::Environment;
use crate::load::{Engine, send_each_once};
use crate::report::{Report, mebibytes};
use crate::server::Server;
use crate::wrk;

/// What the in-process cache may hold, and the setting that says so.
const CACHE_MIB: u64 = 64;
const CACHE_SETTING: (&str, &str) = ("LOCAL_CACHE_MIB", "64");
const CONNECTIONS: u32 = 512;
/// Distinct lists of each of the 64 shapes: several times what the cache holds.
const QUERIES: usize = 600;

/// Fills the in-process cache with distinct lists, then loads the API with many connections.
pub(crate) async fn bench(environment: &Environment, duration: Duration) -> Result<()> {
    let catalog = Environment::catalog(&environment.database_url)?;
    let mut queries = Queries::sample(&catalog).await?;
    let api = Server::api(environment, &environment.database_url, &[CACHE_SETTING]).await?;
    let command = "cargo run --release -p farmlokal-bench -- bench memory";
    let mut report = Report::new("memory", "The API's memory under load", command);
    let mut rows = Vec::new();
    let mut note = |after: &str| -> Result<u64> {
        let memory = api.process().memory()?;
        rows.push([after.to_owned(), mebibytes(memory.now), mebibytes(memory.peak)]);
        Ok(memory.peak)
    };

    note("start")?;
    let cold = queries.of_each_shape(QUERIES)?;
    let lists = cold.len();
    send_each_once(&Engine::Api(api.address), cold, 64, Duration::from_secs(120)).await?;
    note(&format!("{lists} distinct lists at 64 connections"))?;
    for path in ["/products?limit=20", "/products?limit=100"] {
        wrk::run(&api.url(path), CONNECTIONS, duration).await?;
        note(&format!("`{path}` at {CONNECTIONS} connections for {} s", duration.as_secs()))?;
    }
    let peak = note("the end")?;

    report.table(["after", "resident", "peak"], rows);
    report.say(&format!(
        "The peak is {} beyond the {CACHE_MIB} MiB that the in-process cache may hold.",
        mebibytes(peak.saturating_sub(CACHE_MIB << 20))
    ));
    report.finish(&environment.root)
}
