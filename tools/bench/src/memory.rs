//! The API's memory under load, beyond what its in-process cache may hold.

use std::time::Duration;

use anyhow::Result;

use crate::closed_loop::{Engine, send_each_once};
use crate::environment::Environment;
use crate::queries::Queries;
use crate::report::{Report, mebibytes};
use crate::server::Server;
use crate::wrk;

/// What the in-process cache may hold.
const CACHE_MIB: u64 = 64;
/// Says so, and that nothing leaves the cache but for want of room: with the default 5 s it would never fill.
const SETTINGS: [(&str, &str); 3] =
    [("LOCAL_CACHE_MIB", "64"), ("LOCAL_CACHE_TTL", "1h"), ("CACHE_TTL", "1h")];
const CONNECTIONS: u32 = 512;
/// Distinct lists of each of the 32 shapes, some 11 KB each by the cache's count: more than it holds.
const QUERIES: usize = 300;

/// Fills the in-process cache with distinct lists, then loads the API with many connections.
pub(crate) async fn bench(environment: &Environment) -> Result<()> {
    let mut queries = Queries::new(&environment.database(1).await?).await?;
    let api = Server::api(environment, &SETTINGS).await?;
    let mut rows = Vec::new();
    let mut note = |after: &str| -> Result<u64> {
        let [now, peak] = api.memory()?;
        rows.push(format!("{after} | {} | {}", mebibytes(now), mebibytes(peak)));
        Ok(peak)
    };

    note("start")?;
    let cold = queries.of_each(&api, |_| true, QUERIES).await?;
    let lists = cold.len();
    send_each_once(&Engine::Api(api.address), cold, 64, Duration::from_secs(120)).await?;
    note(&format!("{lists} distinct lists at 64 connections"))?;
    wrk::run(&api.url("/products?limit=100"), CONNECTIONS, environment.duration).await?;
    let peak = note(&format!("`/products?limit=100` at {CONNECTIONS} connections"))?;

    let mut report = Report::new(environment, "memory", "The API's memory under load", "bench memory");
    report.say("The in-process cache keeps what it has for an hour instead of 5 s, so that it fills.");
    report.table("after | resident | peak", rows);
    report.say(&format!(
        "The peak is {} beyond the {CACHE_MIB} MiB that the in-process cache may hold.",
        mebibytes(peak.saturating_sub(CACHE_MIB << 20))
    ));
    report.finish()
}
