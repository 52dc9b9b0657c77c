//! Cold lists at 16 connections: the API, what one index serves and all shapes, beside the database alone.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::closed_loop::{Engine, send_each_once};
use crate::environment::Environment;
use crate::queries::{Queries, Shape};
use crate::report::Report;
use crate::server::Server;
use crate::stats::{Latencies, median};

const CLIENTS: u32 = 16;
const UNTIL_DONE: Duration = Duration::from_secs(600);
/// Queries of each shape: for warming up, and in each round.
const WARM_UP: usize = 30;
const IN_A_ROUND: usize = 200;

pub(crate) async fn bench(environment: &Environment) -> Result<()> {
    let database = environment.database(CLIENTS).await?;
    let mut queries = Queries::new(&database).await?;
    let api = Server::api(environment, &[]).await?;
    let (by_api, alone) = (Engine::Api(api.address), Engine::Database(database));
    let one_index: fn(Shape) -> bool = Shape::has_index;
    let runs = [
        ("API, what one index serves", by_api.clone(), one_index),
        ("database alone, the same", alone, one_index),
        ("API, all shapes", by_api, |_| true),
    ];
    let (mut rates, mut times) = ([const { Vec::new() }; 3], [const { Vec::new() }; 3]);
    for round in 0..=environment.rounds {
        for (at, (name, engine, mix)) in runs.iter().enumerate() {
            let count = if round == 0 { WARM_UP } else { IN_A_ROUND };
            let queries = queries.of_each(&api, mix, count).await?;
            let asked = queries.len();
            let (rate, took) = send_each_once(engine, queries, CLIENTS.try_into()?, UNTIL_DONE).await?;
            ensure!(took.len() == asked, "{} of {asked} lists were refused", asked - took.len());
            if round > 0 {
                eprintln!("round {round}: {name}: {rate:.0} lists/s");
                rates[at].push(rate);
                times[at].extend(took);
            }
        }
    }

    let mut report = Report::new(environment, "cold", "Cold lists beside the database alone", "bench cold");
    report.say(&format!(
        "1,000,000 products, {CLIENTS} clients, no list twice: 20 products from a random depth (4 sorts, 2 orders, with and \
         without category), and first pages of price ranges of every width. {} rounds, in each {IN_A_ROUND} lists of each \
         shape for each engine by turns.",
        environment.rounds
    ));
    let ratio = median(rates[0].iter().zip(&rates[1]).map(|(api, database)| 100.0 * api / database));
    let rows = runs.iter().zip(rates).zip(times).map(|(((name, ..), rates), times)| {
        let times: Latencies = times.into_iter().collect();
        let [p50, p95, p99, max] = [50, 95, 99, 100].map(|percent| times.percentile(percent));
        format!("{name} | {:.0} | {p50:.2} | {p95:.2} | {p99:.2} | {max:.1}", median(rates))
    });
    report.table(" | lists/s | p50 ms | p95 ms | p99 ms | max ms", rows);
    report.say(&format!(
        "Median of the rounds' ratios: the API gives {ratio:.0} % of the database's own rate."
    ));
    report.finish()
}
