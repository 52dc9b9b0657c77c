//! The API's start, and its memory under load, beyond what its in-process cache may hold.

use std::time::Duration;

use anyhow::Result;

use crate::environment::Environment;
use crate::load::{Engine, closed_loop};
use crate::queries::Queries;
use crate::report::{Report, mebibytes};
use crate::server::Server;
use crate::stats::median;
use crate::wrk;

/// What the in-process cache may hold.
const CACHE_MIB: u64 = 64;
/// Says so, and that nothing leaves the cache but for want of room: with the default 5 s it would never fill.
const SETTINGS: [(&str, &str); 3] =
    [("LOCAL_CACHE_MIB", "64"), ("LOCAL_CACHE_TTL", "1h"), ("CACHE_TTL", "1h")];
const CONNECTIONS: u32 = 512;
/// Distinct lists of each of the 16 shapes, some 11 KB each by the cache's count: more than it holds.
const QUERIES: usize = 600;

const STARTS: usize = 5;

/// Starts the API again and again, fills the in-process cache with distinct lists, then loads the API with many connections.
pub(crate) async fn bench(environment: &Environment) -> Result<()> {
    let mut queries = Queries::new(&environment.database(1).await?).await?;
    let (mut starts, mut api) = (Vec::new(), Server::api(environment, &SETTINGS).await?);
    for _ in 1..STARTS {
        starts.push(api.ready_after.as_secs_f64());
        api = Server::api(environment, &SETTINGS).await?;
    }
    starts.push(api.ready_after.as_secs_f64());
    let mut rows = Vec::new();
    let mut note = |after: &str| -> Result<u64> {
        let [now, peak] = api.memory()?;
        rows.push(format!("{after} | {} | {}", mebibytes(now), mebibytes(peak)));
        Ok(peak)
    };

    note("start")?;
    let cold = queries.deep(QUERIES)?;
    let lists = cold.len();
    closed_loop(&Engine::Api(api.address), cold, 64, Duration::from_secs(120)).await?;
    note(&format!("{lists} distinct lists at 64 connections"))?;
    wrk::run(&api.url("/products?limit=100"), CONNECTIONS, environment.duration).await?;
    let peak = note(&format!("`/products?limit=100` at {CONNECTIONS} connections"))?;

    let mut report = Report::new(environment, "bench memory", "The API's start and its memory under load");
    report.say(&format!(
        "{STARTS} starts with {} products: ready, with the search index, after {:.2} s at the median. The in-process cache keeps \
         what it has for an hour, so that it fills.",
        environment.rows,
        median(starts)
    ));
    report.table("after | resident | peak", rows);
    report.say(&format!(
        "The peak, which includes the build of the search index, is {} beyond the {CACHE_MIB} MiB of that cache.",
        mebibytes(peak.saturating_sub(CACHE_MIB << 20))
    ));
    report.finish()
}
