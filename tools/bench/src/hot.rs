//! One hot list: the API beside a bare axum route that serves the same bytes, at 64 connections.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::environment::Environment;
use crate::report::{Report, mebibytes};
use crate::server::Server;
use crate::stats::{median, milliseconds};
use crate::wrk;

pub(crate) const PATH: &str = "/products?limit=20";
pub(crate) const CONNECTIONS: u32 = 64;

/// One server in one round.
#[derive(Clone, Copy)]
pub(crate) struct Measured {
    pub(crate) run: wrk::Run,
    /// CPU time of the server per request, in microseconds.
    pub(crate) cpu: f64,
}

/// Asks `server` for the hot list for `duration`.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52 requests")]
pub(crate) async fn measure(server: &Server, duration: Duration) -> Result<Measured> {
    let before = server.process().cpu_seconds()?;
    let run = wrk::run(&server.url(PATH), CONNECTIONS, duration).await?;
    let cpu = (server.process().cpu_seconds()? - before) * 1e6 / run.requests as f64;
    ensure!(run.failures == 0, "{} requests failed", run.failures);
    Ok(Measured { run, cpu })
}

/// Writes the hot list's body where the reference server can read it.
pub(crate) async fn save_body(environment: &Environment, api: &Server) -> Result<std::path::PathBuf> {
    let file = environment.scratch("bench-body.json");
    std::fs::write(&file, api.body(PATH).await?)?;
    Ok(file)
}

/// Measures in interleaved rounds, so that whatever else the machine does meets both servers alike.
pub(crate) async fn bench(environment: &Environment, rounds: usize, duration: Duration) -> Result<()> {
    let api = Server::api(environment, &environment.database_url, &[]).await?;
    let reference = Server::reference(environment, &save_body(environment, &api).await?).await?;
    let body = api.body(PATH).await?;
    ensure!(body == reference.body(PATH).await?, "the two servers answer differently");
    let command = "cargo run --release -p farmlokal-bench -- bench hot";
    let mut report = Report::new("hot", "A hot list beside a bare axum route", command);
    report.say(&format!(
        "`{PATH}` ({} bytes) with wrk at {CONNECTIONS} connections, {rounds} rounds of {} s for each server by turns.",
        body.len(),
        duration.as_secs()
    ));

    let before = api.process().memory()?.now;
    for server in [&api, &reference] {
        measure(server, Duration::from_secs(2)).await?;
    }
    let mut measured = Vec::new();
    for round in 1..=rounds {
        let pair = (measure(&api, duration).await?, measure(&reference, duration).await?);
        eprintln!("round {round}: {:.0} and {:.0} requests/s", pair.0.run.rate(), pair.1.run.rate());
        measured.push(pair);
    }
    let (ours, theirs): (Vec<_>, Vec<_>) = measured.iter().copied().unzip();
    report.table(
        ["server", "requests/s", "p50 ms", "p99 ms", "CPU µs/request"],
        [row("API", &ours), row("bare axum route", &theirs)],
    );
    let rate = median(measured.iter().map(|(api, bare)| api.run.rate() / bare.run.rate()));
    let cpu = median(measured.iter().map(|(api, bare)| api.cpu / bare.cpu));
    let memory = api.process().memory()?;
    report.say(&format!(
        "Medians over the rounds. Of each round's ratios the median: **{:.0} % of the bare route's rate, {cpu:.2} times \
         its CPU a request**. The API's resident memory: {} before, {} after, {} at the peak.",
        rate * 100.0,
        mebibytes(before),
        mebibytes(memory.now),
        mebibytes(memory.peak)
    ));
    report.finish(&environment.root)
}

fn row(name: &str, rounds: &[Measured]) -> [String; 5] {
    let time = |of: fn(&wrk::Run) -> Duration| {
        milliseconds(Duration::from_secs_f64(median(rounds.iter().map(|round| of(&round.run).as_secs_f64()))))
    };
    [
        name.to_owned(),
        format!("{:.0}", median(rounds.iter().map(|round| round.run.rate()))),
        time(|run| run.p50),
        time(|run| run.p99),
        format!("{:.1}", median(rounds.iter().map(|round| round.cpu))),
    ]
}
