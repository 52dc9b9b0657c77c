//! Cold lists at 16 connections: the API beside the database alone.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::environment::Environment;
use crate::load::{Engine, Rounds, closed_loop};
use crate::queries::Queries;
use crate::report::Report;
use crate::server::Server;
use crate::stats::median;

const CLIENTS: u32 = 16;
const UNTIL_DONE: Duration = Duration::from_secs(600);
/// Queries of each shape: for warming up, and in each round.
const WARM_UP: usize = 30;
const IN_A_ROUND: usize = 200;

pub(crate) async fn bench(environment: &Environment) -> Result<()> {
    let database = environment.database(CLIENTS).await?;
    let mut queries = Queries::new(&database).await?;
    let api = Server::api(environment, &[]).await?;
    let runs = [("API", Engine::Api(api.address)), ("database alone", Engine::Database(database))];
    let mut measured: [Rounds; 2] = Default::default();
    for round in 0..=environment.rounds {
        for (at, (name, engine)) in runs.iter().enumerate() {
            let count = if round == 0 { WARM_UP } else { IN_A_ROUND };
            let queries = queries.deep(count)?;
            let asked = queries.len();
            let outcome = closed_loop(engine, queries, CLIENTS.try_into()?, UNTIL_DONE).await?;
            ensure!(outcome.refused.is_empty(), "{} of {asked} lists were refused", outcome.refused.len());
            if round > 0 {
                eprintln!("round {round}: {name}: {:.0} lists/s", outcome.rate());
                measured[at].add(outcome);
            }
        }
    }

    let mut report = Report::new(environment, "bench cold", "Cold lists beside the database alone");
    report.say(&format!(
        "{} products, {CLIENTS} clients, no list twice: 20 products from a random depth (4 sorts, 2 orders, with and \
         without category). {} rounds of {IN_A_ROUND} lists of each shape by turns.",
        environment.rows, environment.rounds
    ));
    let rates = measured[0].rates.iter().zip(&measured[1].rates);
    let ratio = median(rates.map(|(api, database)| 100.0 * api / database));
    let rows = runs.iter().zip(measured).map(|((name, _), rounds)| rounds.row(name));
    report.table(" | lists/s | p50 ms | p99 ms | refused", rows);
    report.say(&format!("Median of the rounds' ratios: {ratio:.0} % of the database's own rate."));
    report.finish()
}
