//! `farmlokal-dev`: what `make run` and `make test` call.

mod run;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use farmlokal_devstack::interrupt::{self, Interrupted};
use farmlokal_devstack::repository;

/// Runs and tests FarmLokal without a cluster.
#[derive(Debug, Parser)]
#[command(name = "farmlokal-dev", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start what is missing, migrate, seed once, and serve until Ctrl-C
    Run(run::RunArgs),
    /// Run every test on real servers
    Test(test::TestArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match execute(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<Interrupted>() => ExitCode::from(130),
        Err(error) => {
            eprintln!("farmlokal-dev: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn execute(cli: &Cli) -> anyhow::Result<()> {
    interrupt::catch()?;
    read_dotenv()?;
    match &cli.command {
        Command::Run(args) => run::run(args),
        Command::Test(args) => test::test(args),
    }
}

/// What the environment leaves open may stand in `.env`.
fn read_dotenv() -> anyhow::Result<()> {
    match dotenvy::from_path(repository().join(".env")) {
        Err(error) if !error.not_found() => Err(anyhow::anyhow!(".env: {error}")),
        _ => Ok(()),
    }
}
