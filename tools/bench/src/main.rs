//! `farmlokal-bench`: load tests and measurements, each repeatable with one command. See `loadtest/README.md`.

mod adversarial;
mod beside_search;
mod client;
mod cold;
mod cold_bench;
mod environment;
mod hot;
mod k6;
mod load;
mod loadtest;
mod memory;
mod overload;
mod process;
mod reference;
mod report;
mod rows_read;
mod searchers;
mod seed;
mod server;
mod start;
mod stats;
mod wrk;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use mimalloc::MiMalloc;

use crate::environment::Environment;
use crate::reference::ReferenceArgs;

/// The API's own: an allocator is part of what is compared.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Measures the API. Results are printed and written to loadtest/results/.
#[derive(Parser)]
#[command(name = "farmlokal-bench", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the k6 scripts and tabulate what they report
    Loadtest {
        /// How long each script runs, as k6 writes it
        #[arg(long, default_value = "30s")]
        duration: String,
    },
    /// Measure the API beside a bare axum route and the database alone
    Bench {
        /// What to measure; without any, everything
        #[arg(value_enum)]
        parts: Vec<Part>,
        #[command(flatten)]
        rounds: Rounds,
    },
    /// Serve one body from memory: what `bench` compares the API with
    #[command(hide = true)]
    Reference(ReferenceArgs),
}

/// How much is measured: more against noise, less for a quick look.
#[derive(clap::Args)]
struct Rounds {
    /// Rounds, in each of which everything compared is measured once
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=100))]
    rounds: u64,
    /// Seconds for each measurement of a round
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
}

#[derive(Clone, Copy, Eq, PartialEq, ValueEnum)]
enum Part {
    Hot,
    Cold,
    Adversarial,
    BesideSearch,
    Start,
    Memory,
    Overload,
    Seed,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("farmlokal-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Reference(args) => reference::serve(args).await,
        Command::Loadtest { duration } => loadtest::run(&Environment::up().await?, &duration).await,
        Command::Bench { parts, rounds } => {
            let (rounds, duration) = rounds.parts()?;
            let environment = Environment::up().await?;
            let all = Part::value_variants();
            for part in if parts.is_empty() { all } else { &parts } {
                // On the heap: it has room for every part's state.
                Box::pin(bench(*part, &environment, rounds, duration)).await?;
            }
            Ok(())
        }
    }
}

impl Rounds {
    fn parts(&self) -> anyhow::Result<(usize, Duration)> {
        Ok((usize::try_from(self.rounds)?, Duration::from_secs(self.seconds)))
    }
}

async fn bench(
    part: Part,
    environment: &Environment,
    rounds: usize,
    duration: Duration,
) -> anyhow::Result<()> {
    match part {
        Part::Hot => hot::bench(environment, rounds, duration).await,
        Part::Cold => cold_bench::bench(environment, &cold_bench::Data::seeded(environment), rounds).await,
        Part::Adversarial => {
            let url = adversarial::database(environment).await?;
            cold_bench::bench(environment, &cold_bench::Data::adversarial(&url), rounds).await
        }
        Part::BesideSearch => beside_search::bench(environment, rounds, duration).await,
        Part::Start => start::bench(environment).await,
        Part::Memory => memory::bench(environment, duration).await,
        Part::Overload => overload::bench(environment, rounds, duration).await,
        Part::Seed => seed::bench(environment).await,
    }
}
