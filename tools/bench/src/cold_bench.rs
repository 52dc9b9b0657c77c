//! Cold lists at 16 connections: the API beside the database alone, every shape, rows counted.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Result;

use crate::cold::{Queries, Shape};
use crate::environment::Environment;
use crate::load::{Answers, Engine, send_each_once};
use crate::report::Report;
use crate::rows_read::Counters;
use crate::server::Server;
use crate::stats::median;

const CLIENTS: usize = 16;
const UNTIL_DONE: Duration = Duration::from_secs(600);
/// Queries of each of the 64 shapes: for warming up, in each round for each engine, and to count rows.
const WARM_UP: usize = 30;
const IN_A_ROUND: usize = 120;
const COUNTED: usize = 12;

/// The catalogue whose lists are measured.
pub(crate) struct Data<'a> {
    part: &'static str,
    title: &'static str,
    about: &'static str,
    database_url: &'a str,
}

impl Data<'_> {
    pub(crate) fn seeded(environment: &Environment) -> Data<'_> {
        let (title, about) = ("Cold lists beside the database alone", "1,000,000 seeded products.");
        Data { part: "cold", title, about, database_url: &environment.database_url }
    }

    pub(crate) fn adversarial(database_url: &str) -> Data<'_> {
        let title = "Cold lists on adversarial data";
        let about = "1,000,000 products whose columns depend on each other: prices rise and names and times fall with \
                     the ids, 300,000 products have one price, half of them five names, categories follow the price.";
        Data { part: "adversarial", title, about, database_url }
    }
}

/// One engine under one mix of shapes.
struct Run {
    name: &'static str,
    engine: Engine,
    mix: fn(Shape) -> bool,
    queries: Queries,
    answers: Answers,
    /// Lists per second in each round.
    rates: Vec<f64>,
}

impl Run {
    fn new(name: &'static str, engine: &Engine, mix: fn(Shape) -> bool, queries: &Queries) -> Run {
        let (engine, queries) = (engine.clone(), queries.clone());
        Run { name, engine, mix, queries, answers: Answers::default(), rates: Vec::new() }
    }

    /// Sends `count` queries of each shape, with empty caches at the start.
    async fn send(&mut self, environment: &Environment, count: usize) -> Result<Answers> {
        environment.flush_cache().await?;
        send_each_once(&self.engine, self.queries.of_each(self.mix, count)?, CLIENTS, UNTIL_DONE).await
    }

    async fn round(&mut self, environment: &Environment) -> Result<()> {
        let answers = self.send(environment, IN_A_ROUND).await?;
        eprintln!("{}: {:.0} lists/s", self.name, answers.rate());
        self.rates.push(answers.rate());
        self.answers.add(answers);
        Ok(())
    }

    fn row(&self) -> [String; 7] {
        let rate = format!("{:.0}", median(self.rates.iter().copied()));
        row(self.name, rate, &self.answers, |_| true)
    }
}

/// Measures the lists of one database.
pub(crate) async fn bench(environment: &Environment, data: &Data<'_>, rounds: usize) -> Result<()> {
    let catalog = Environment::catalog(data.database_url)?;
    let sample = Queries::sample(&catalog).await?;
    let api = Server::api(environment, data.database_url, &[]).await?;
    let database = Engine::Database(catalog);
    // Both engines get the same queries.
    let mut mixed = Run::new("API, all shapes", &Engine::Api(api.address), |_| true, &sample);
    let mut alone = Run::new("database alone, all shapes", &database, |_| true, &sample);
    let name = "API, only shapes that one index serves";
    let mut indexed = Run::new(name, &Engine::Api(api.address), Shape::has_index, &sample);
    for run in [&mut mixed, &mut indexed, &mut alone] {
        run.send(environment, WARM_UP).await?;
    }
    let command = format!("cargo run --release -p farmlokal-bench -- bench {}", data.part);
    let mut report = Report::new(data.part, data.title, &command);

    for round in 1..=rounds {
        eprintln!("round {round}");
        for run in [&mut mixed, &mut indexed, &mut alone] {
            run.round(environment).await?;
        }
    }
    // Its probes of the database would be counted too.
    drop(api);
    let rows = count_rows(data.database_url, sample).await?;

    report.say(&format!(
        "{} Every list without a search, 64 shapes (4 sorts, 2 orders, with and without category and price range, first \
         page and random depth), no query twice, {CLIENTS} connections, {rounds} rounds for each line by turns. \
         \"Database alone\" runs the API's own statements through the same pool, without HTTP, JSON and caches.",
        data.about
    ));
    report.table(
        ["", "lists/s", "p50 ms", "p95 ms", "p99 ms", "max ms", "failed"],
        [
            mixed.row(),
            row("of these, one index serves the shape", String::new(), &mixed.answers, Shape::has_index),
            row("of these, price range with another sort", String::new(), &mixed.answers, |s| !s.has_index()),
            indexed.row(),
            alone.row(),
        ],
    );
    report.say(&format!(
        "Median of the rounds' ratios: the API gives {:.0} % of the database's own rate. Rows read (all `Handler_read_*`) \
         where one index serves the shape: {} at the most; price range with another sort: {} at the most.",
        100.0 * median(mixed.rates.iter().zip(&alone.rates).map(|(api, database)| api / database)),
        most(&rows, Shape::has_index),
        most(&rows, |shape| !shape.has_index())
    ));
    let head =
        ["shape (both orders), API", "lists", "p50 ms", "p95 ms", "p99 ms", "max ms", "rows, median", "most"];
    report.table(head, classes().map(|class| class_row(&class, &mixed.answers, &rows)));
    report.finish(&environment.root)?;
    [mixed, indexed, alone].iter().try_for_each(|run| run.answers.ensure_all_answered())
}

/// The rows read for some queries of each shape, one at a time.
async fn count_rows(url: &str, mut queries: Queries) -> Result<HashMap<String, Vec<(Shape, u64)>>> {
    let catalog = Environment::catalog(url)?;
    let mut counters = Counters::connect(url).await?;
    let mut rows: HashMap<String, Vec<(Shape, u64)>> = HashMap::new();
    let counted = queries.of_each(|_| true, COUNTED)?;
    // Its connection prepares itself and its statement: not what is counted here.
    for query in counted.iter().chain(&counted) {
        catalog.list(&query.query).await?;
    }
    for query in &counted {
        let read = counters.rows_read(&catalog, query).await?;
        rows.entry(query.shape.class()).or_default().push((query.shape, read));
    }
    Ok(rows)
}

fn most(rows: &HashMap<String, Vec<(Shape, u64)>>, which: impl Fn(Shape) -> bool) -> u64 {
    rows.values().flatten().filter(|(shape, _)| which(*shape)).map(|(_, read)| *read).max().unwrap_or(0)
}

fn row(name: &str, rate: String, answers: &Answers, which: impl Fn(Shape) -> bool) -> [String; 7] {
    let [p50, p95, p99, max] = answers.latencies(&which).cells();
    [name.to_owned(), rate, p50, p95, p99, max, answers.failures(which).to_string()]
}

fn classes() -> impl Iterator<Item = String> {
    Shape::all().into_iter().filter(|shape| shape.order == "ASC").map(Shape::class)
}

#[expect(clippy::cast_precision_loss, reason = "row counts")]
fn class_row(class: &str, answers: &Answers, rows: &HashMap<String, Vec<(Shape, u64)>>) -> [String; 8] {
    let latencies = answers.latencies(|shape| shape.class() == class);
    let [p50, p95, p99, max] = latencies.cells();
    let read: Vec<u64> = rows.get(class).into_iter().flatten().map(|(_, read)| *read).collect();
    let middle = median(read.iter().map(|read| *read as f64));
    let most = read.iter().max().copied().unwrap_or(0);
    [
        class.to_owned(),
        latencies.count().to_string(),
        p50,
        p95,
        p99,
        max,
        format!("{middle:.0}"),
        most.to_string(),
    ]
}
