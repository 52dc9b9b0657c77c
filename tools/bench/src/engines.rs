//! Both search engines on the same products: the index in the API's process, and OpenSearch.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::time::{Instant, sleep};

use crate::environment::Environment;
use crate::fresh;
use crate::load::{Engine, Rounds, closed_loop};
use crate::queries::Queries;
use crate::report::{Report, mebibytes};
use crate::search::UNCACHED;
use crate::server::Server;
use crate::words::Words;
use farmlokal_testing::http::Client;

/// Names the server.
pub(crate) const OPENSEARCH_URL: &str = "OPENSEARCH_URL";
const CLIENTS: usize = 16;
/// More than are answered in a second.
const A_SECOND: usize = 8_000;
const LOADS: [&str; 4] = ["commonest words", "mix", "price ranges", "suggestions"];

/// The index in OpenSearch is one of the bench's own.
pub(crate) async fn bench(environment: &Environment) -> Result<()> {
    let url = std::env::var(OPENSEARCH_URL).context("OPENSEARCH_URL has to name a server")?;
    let url = format!("{}/farmlokal-bench", url.trim_end_matches('/'));
    let engines = [("in the process", vec![]), ("OpenSearch", vec![("SEARCH_URL", url.as_str())])];
    let seconds = usize::try_from(environment.duration.as_secs())?;
    let mut queries = Queries::new(&environment.database(1).await?).await?;
    let mut words = Words::of(&queries.products);

    let (mut servers, mut starts) = (Vec::new(), Vec::new());
    for (name, settings) in &engines {
        let settings: Vec<_> = UNCACHED.iter().chain(settings).copied().collect();
        let started = Instant::now();
        let server = Server::api(environment, &settings).await?;
        until_found(&server).await?;
        starts.push(format!(
            "{name} | {:.1} | {}",
            started.elapsed().as_secs_f64(),
            mebibytes(server.memory()?[0])
        ));
        servers.push(server);
    }
    let mut measured: [[Rounds; 2]; LOADS.len()] = Default::default();
    // The first round warms OpenSearch up, and does not count.
    for round in 0..=environment.rounds {
        eprintln!("round {round}");
        let many = A_SECOND * seconds;
        let loads = [
            words.common(many)?,
            words.mix(many)?,
            queries.ranges(many, false, true)?,
            words.suggestions(many)?,
        ];
        for (asked, rounds) in loads.into_iter().zip(&mut measured) {
            for (server, rounds) in servers.iter().zip(rounds) {
                let engine = Engine::Api(server.address);
                let outcome = closed_loop(&engine, asked.clone(), CLIENTS, environment.duration).await?;
                if round > 0 {
                    rounds.add(outcome);
                }
            }
        }
    }
    drop(servers);

    let mut report = Report::new(environment, "bench engines", "Both search engines");
    report.say(&format!(
        "{} products, {CLIENTS} clients, no cache, {} rounds of {seconds} s by turns after one to warm up; API, database and OpenSearch on the same \
         cores. Loads as of `bench search` and `bench ranges`, these with the total.",
        environment.rows, environment.rounds
    ));
    let rows = LOADS.into_iter().zip(measured).flat_map(|(load, rounds)| {
        engines.iter().zip(rounds).map(move |((engine, _), rounds)| rounds.row(&format!("{load}, {engine}")))
    });
    report.table("searches | answered/s | p50 ms | p99 ms | refused", rows);
    report.say("From the start of an API without any index:");
    report.table("engine | first search answered after, s | memory of the API", starts);
    let mut rows = Vec::new();
    for (name, settings) in &engines {
        rows.extend(
            fresh::rows(environment, settings).await?.into_iter().map(|row| format!("{name}, {row}")),
        );
    }
    report
        .say("Changes by `POST /webhook` to one API process until another one finds them, 10 s at the most:");
    report.table("changes | until found, p50 ms | p99 ms | stale answers", rows);
    report.finish()
}

/// An API is ready before the index that it does not hold is built.
async fn until_found(server: &Server) -> Result<()> {
    let mut client = Client::new(server.address);
    while client.get("/products?search=a&limit=1").await?.status != 200 {
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
