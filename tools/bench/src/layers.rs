//! What each layer of the API's stack costs a request.

use std::time::Duration;

use anyhow::{Result, bail};
use clap::ValueEnum as _;

use crate::environment::Environment;
use crate::hot::{self, Measured};
use crate::reference::Layers;
use crate::report::Report;
use crate::server::Server;
use crate::stats::median;

/// The cost of rate limits is a goal of its own and smaller than the machine's moods: the two stacks on either side of it take
/// turns of a second, so many each.
const PAIRS: usize = 30;

/// Measures every stack in every round, so that whatever else the machine does meets them alike.
pub(crate) async fn bench(environment: &Environment, rounds: usize, duration: Duration) -> Result<()> {
    let api = Server::api(environment, &environment.database_url, &[]).await?;
    let body = hot::save_body(environment, &api).await?;
    let mut servers = Vec::new();
    for layers in Layers::value_variants() {
        let name = layers.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        servers.push((layers.adds(), Server::reference(environment, &name, &body).await?));
    }
    servers.push(("an answer looked up in memory and its headers, but no route: the API", api));
    let seconds = duration.as_secs();
    let command =
        format!("cargo run --release -p farmlokal-bench -- layers --rounds {rounds} --seconds {seconds}");
    let mut report = Report::new("layers", "What each layer costs a request", &command);
    report.say(&format!(
        "`{}` with wrk at {} connections, {rounds} rounds of {seconds} s for each stack by turns. Each line is the stack of the \
         line above and one thing more; CPU is the server's, user and system, medians over the rounds.",
        hot::PATH,
        hot::CONNECTIONS,
    ));

    let mut measured: Vec<Vec<Measured>> = vec![Vec::new(); servers.len()];
    for (_, server) in &servers {
        hot::measure(server, Duration::from_secs(1)).await?;
    }
    for round in 1..=rounds {
        eprintln!("round {round}");
        for ((_, server), measured) in servers.iter().zip(&mut measured) {
            measured.push(hot::measure(server, duration).await?);
        }
    }

    // The query's own stack stands beside the ladder: the API answers a URI that it remembers without reading it.
    let query = measured.remove(servers.len() - 2);
    servers.remove(servers.len() - 2);
    let rows = servers.iter().enumerate().map(|(index, (adds, _))| {
        let cpu = measured[index].iter().map(|one| one.cpu);
        let share =
            measured[index].iter().zip(&measured[0]).map(|(one, bare)| one.run.rate() / bare.run.rate());
        [
            format!("{}{adds}", if index == 0 { "" } else { "+ " }),
            format!("{:.1}", median(cpu)),
            if index == 0 { String::new() } else { added(&measured[index], &measured[index - 1]) },
            format!("{:.0}", median(measured[index].iter().map(|one| one.run.rate()))),
            format!("{:.2}", median(share)),
        ]
    });
    report.table(["stack", "CPU µs/request", "added", "requests/s", "of bare"], rows);
    let [.., (_, unlimited), (_, limited), _] = &servers[..] else { bail!("too few stacks") };
    let mut pairs = [Vec::new(), Vec::new()];
    for _ in 0..PAIRS {
        for (server, measured) in [unlimited, limited].into_iter().zip(&mut pairs) {
            measured.push(hot::measure(server, Duration::from_secs(1)).await?);
        }
    }
    let [without, with] = pairs;
    let limits = difference(&with, &without);
    let [.., limited, api] = &measured[..] else { bail!("too few stacks") };
    let hot = median(api.iter().map(|one| one.cpu));
    report.say(&format!(
        "Rate limits once more, {PAIRS} turns of a second with and without: {limits:+.1} µs. They add **{:.0} %** to the CPU \
         of the API's hot list.",
        100.0 * limits / (hot - limits)
    ));
    report.say(&format!(
        "A URI that the API does not remember is read first: its query parsed and checked and the cache's key made, {} µs.",
        added(&query, limited)
    ));
    report.finish(&environment.root)
}

/// The median of what one stack costs more than another in the same round, in microseconds.
fn difference(with: &[Measured], without: &[Measured]) -> f64 {
    median(with.iter().zip(without).map(|(with, without)| with.cpu - without.cpu))
}

fn added(with: &[Measured], without: &[Measured]) -> String {
    format!("{:+.1}", difference(with, without))
}
