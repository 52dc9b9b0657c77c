//! One hot list: the API beside a bare axum route that serves the same bytes, at 64 connections.

use std::time::Duration;

use anyhow::{Result, ensure};
use farmlokal_testing::http::Client;

use crate::environment::Environment;
use crate::report::Report;
use crate::server::Server;
use crate::stats::median;
use crate::wrk;

const PATH: &str = "/products?limit=20";
const CONNECTIONS: u32 = 64;

/// One server in one round.
#[derive(Clone, Copy)]
struct Measured {
    run: wrk::Run,
    /// CPU time of the server per request, in microseconds.
    cpu: f64,
}

/// Asks `server` for the hot list for `duration`.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52 requests")]
async fn measure(server: &Server, duration: Duration) -> Result<Measured> {
    let before = server.cpu_seconds()?;
    let run = wrk::run(&server.url(PATH), CONNECTIONS, duration).await?;
    let cpu = (server.cpu_seconds()? - before) * 1e6 / run.requests as f64;
    ensure!(run.failures == 0, "{} requests failed", run.failures);
    Ok(Measured { run, cpu })
}

/// Measures in interleaved rounds, so that whatever else the machine does meets both servers alike.
pub(crate) async fn bench(environment: &Environment) -> Result<()> {
    let duration = environment.duration;
    let api = Server::api(environment, &[]).await?;
    let list = Client::new(api.address).get(PATH).await?;
    ensure!(list.status == 200, "GET {PATH}: {}", list.status);
    let file = environment.scratch("bench-body.json");
    std::fs::write(&file, &list.body)?;
    let bare = Server::bare(environment, &file).await?;
    let bytes = Client::new(bare.address).get(PATH).await?.body;
    ensure!(bytes == list.body, "the two servers answer differently");

    for server in [&api, &bare] {
        measure(server, Duration::from_secs(2)).await?;
    }
    let mut measured = Vec::new();
    for round in 1..=environment.rounds {
        eprintln!("round {round}");
        measured.push((measure(&api, duration).await?, measure(&bare, duration).await?));
    }
    let (ours, theirs): (Vec<_>, Vec<_>) = measured.iter().copied().unzip();
    let mut report = Report::new(environment, "bench hot", "A hot list beside a bare axum route");
    report.say(&format!(
        "`{PATH}` ({} bytes) with wrk at {CONNECTIONS} connections, {} rounds of {} s by turns.",
        bytes.len(),
        environment.rounds,
        environment.duration.as_secs()
    ));
    let rows = [("API", ours), ("bare axum route", theirs)].map(|(name, rounds)| {
        let of = |number: fn(&Measured) -> f64| median(rounds.iter().map(number));
        let [rate, cpu] = [of(|one| one.run.rate()), of(|one| one.cpu)];
        format!("{name} | {rate:.0} | {:.2} | {:.2} | {cpu:.1}", of(|one| one.run.p50), of(|one| one.run.p99))
    });
    report.table("server | requests/s | p50 ms | p99 ms | CPU µs/request", rows);
    let rate = median(measured.iter().map(|(api, bare)| 100.0 * api.run.rate() / bare.run.rate()));
    let cpu = median(measured.iter().map(|(api, bare)| api.cpu / bare.cpu));
    report.say(&format!(
        "Medians. Of each round's ratios: **{rate:.0} % of the bare route's rate, {cpu:.2} times its CPU a request**."
    ));
    report.finish()
}
