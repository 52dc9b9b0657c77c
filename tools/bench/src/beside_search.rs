//! Plain lists while 16 clients search for common words, beside the same lists alone.

use std::time::Duration;

use anyhow::Result;

use crate::cold::Queries;
use crate::environment::Environment;
use crate::hot;
use crate::load::{Engine, send_each_once};
use crate::report::Report;
use crate::searchers::{Manners, Searched, Searchers, common_words};
use crate::server::Server;
use crate::stats::median;

const SEARCHERS: u64 = 16;
const COLD_CLIENTS: usize = 16;
/// More distinct lists of each of the 64 shapes than can be answered in one round.
const QUERIES: usize = 500;

/// Who searches meanwhile.
const CASES: [(&str, Option<Manners>); 3] = [
    ("nobody searches", None),
    ("16 search, refused ones try again at once", Some(Manners::Tight)),
    ("16 search, refused ones wait for Retry-After", Some(Manners::Polite)),
];

/// Measures in interleaved rounds.
pub(crate) async fn bench(environment: &Environment, rounds: usize, duration: Duration) -> Result<()> {
    let catalog = Environment::catalog(&environment.database_url)?;
    let mut queries = Queries::sample(&catalog).await?;
    let words = common_words(&queries);
    let api = Server::api(environment, &environment.database_url, &[]).await?;
    hot::measure(&api, Duration::from_secs(2)).await?;
    send_each_once(&Engine::Api(api.address), queries.of_each(|_| true, 20)?, COLD_CLIENTS, duration).await?;
    let command = "cargo run --release -p farmlokal-bench -- bench beside-search";
    let mut report = Report::new("beside-search", "Plain lists while others search", command);
    report.say(&format!(
        "{SEARCHERS} clients search for the {} most common words ({}, ...), no search twice. Hot: one list at {} \
         connections with wrk; cold: every shape, no query twice, at {COLD_CLIENTS} connections. {rounds} rounds of {} s \
         for each case by turns; medians, \"of alone\" that of the rounds' ratios. The searchers and the load share the machine's cores with the servers.",
        words.len(),
        words[..words.len().min(5)].join(", "),
        hot::CONNECTIONS,
        duration.as_secs()
    ));

    let mut hot_rates: [Vec<f64>; 3] = Default::default();
    let mut cold_rates: [Vec<f64>; 3] = Default::default();
    let mut searched: [Searched; 3] = Default::default();
    for round in 1..=rounds {
        for (case, (name, manners)) in CASES.into_iter().enumerate() {
            let searchers = manners.map(|manners| Searchers::start(api.address, SEARCHERS, &words, manners));
            hot_rates[case].push(hot::measure(&api, duration).await?.run.rate());
            environment.flush_cache().await?;
            let cold = send_each_once(
                &Engine::Api(api.address),
                queries.of_each(|_| true, QUERIES)?,
                COLD_CLIENTS,
                duration,
            )
            .await?;
            cold.ensure_all_answered()?;
            cold_rates[case].push(cold.rate());
            if let Some(searchers) = searchers {
                searched[case].add(searchers.stop().await?);
            }
            let (hot, cold) = (hot_rates[case].last(), cold_rates[case].last());
            eprintln!("round {round}, {name}: {hot:.0?} hot and {cold:.0?} cold lists/s");
        }
    }

    let share = |rates: &[Vec<f64>; 3], case: usize| {
        let ratios = rates[case].iter().zip(&rates[0]).map(|(with, alone)| with / alone);
        format!("{:.0} %", 100.0 * median(ratios))
    };
    report.table(
        ["", "hot lists/s", "of alone", "cold lists/s", "of alone"],
        CASES.iter().enumerate().map(|(case, (name, _))| {
            let rate = |rates: &[Vec<f64>; 3]| format!("{:.0}", median(rates[case].iter().copied()));
            [
                (*name).to_owned(),
                rate(&hot_rates),
                share(&hot_rates, case),
                rate(&cold_rates),
                share(&cold_rates, case),
            ]
        }),
    );
    report.say("What came of the searches:");
    report.table(
        ["", "served", "p50 ms", "p99 ms", "refused", "p99 ms", "failed"],
        CASES.iter().zip(&searched).skip(1).map(|((name, _), searched)| {
            let [served, served_p50, served_p99, refused, refused_p99, failed] = searched.cells();
            [(*name).to_owned(), served, served_p50, served_p99, refused, refused_p99, failed]
        }),
    );
    report.finish(&environment.root)
}
