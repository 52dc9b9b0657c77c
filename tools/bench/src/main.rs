//! `farmlokal-bench`: load tests and measurements, each repeatable with one command. See `loadtest/README.md`.

mod bare;
mod cold;
mod depth;
mod engines;
mod environment;
mod fresh;
mod hot;
mod load;
mod loadtest;
mod memory;
mod overload;
mod plot;
mod queries;
mod ranges;
mod report;
mod search;
mod seed;
mod server;
mod stats;
mod visible;
mod words;
mod writer;
mod writes;
mod wrk;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use mimalloc::MiMalloc;

use crate::environment::Environment;

/// Products, unless more are asked for.
const ROWS: u64 = 1_000_000;

/// The API's own: an allocator is part of what is compared.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Measures the API. Results are printed and written to loadtest/results/.
#[derive(Parser)]
#[command(name = "farmlokal-bench", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// An API binary to measure instead of this checkout's: two versions are compared by measuring them by turns
    #[arg(long, global = true)]
    api: Option<PathBuf>,
    /// How many products to seed, where there are none yet
    #[arg(long, global = true, default_value_t = ROWS)]
    rows: u64,
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
        /// What to measure; without any, everything, the engines only where `OPENSEARCH_URL` names a server
        #[arg(value_enum)]
        parts: Vec<Part>,
        /// Rounds, in each of which everything compared is measured once: more against noise, less for a quick look
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..))]
        rounds: u8,
        /// Seconds for each measurement of a round
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
        seconds: u16,
    },
    /// Serve one file from memory: what `bench hot` compares the API with
    #[command(hide = true)]
    Bare {
        #[arg(long)]
        port: u16,
        #[arg(long)]
        file: PathBuf,
    },
}

#[derive(Clone, Copy, Eq, PartialEq, ValueEnum)]
enum Part {
    Hot,
    Cold,
    Search,
    Ranges,
    Engines,
    Writes,
    Depth,
    Overload,
    Memory,
    Seed,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    match &cli.command {
        Command::Bare { port, file } => bare::serve(*port, file).await,
        Command::Loadtest { duration } => loadtest::run(&Environment::up(&cli, 1, 1).await?, duration).await,
        Command::Bench { parts, rounds, seconds } => {
            let environment = Environment::up(&cli, *rounds, *seconds).await?;
            let everything = Part::value_variants().iter().filter(|part| {
                **part != Part::Engines || std::env::var_os(engines::OPENSEARCH_URL).is_some()
            });
            let parts = if parts.is_empty() { everything.copied().collect() } else { parts.clone() };
            for part in parts {
                let environment = &environment;
                // On the heap: it has room for every part's state.
                match part {
                    Part::Hot => Box::pin(hot::bench(environment)).await?,
                    Part::Cold => Box::pin(cold::bench(environment)).await?,
                    Part::Search => Box::pin(search::bench(environment)).await?,
                    Part::Ranges => Box::pin(ranges::bench(environment)).await?,
                    Part::Engines => Box::pin(engines::bench(environment)).await?,
                    Part::Writes => Box::pin(writes::bench(environment)).await?,
                    Part::Depth => Box::pin(depth::bench(environment)).await?,
                    Part::Overload => Box::pin(overload::bench(environment)).await?,
                    Part::Memory => Box::pin(memory::bench(environment)).await?,
                    Part::Seed => Box::pin(seed::bench(environment)).await?,
                }
            }
            Ok(())
        }
    }
}
