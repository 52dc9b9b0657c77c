//! `farmlokal-e2e`: installs FarmLokal on a real cluster, walks through it, breaks what can break, and removes it again.
//! `docs/development.md` says how to run it.

mod cluster;
mod command;
mod diagnose;
mod kubectl;
mod load;
mod redis;
mod report;
mod stage;
mod steps;
mod suite;
mod wait;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand, ValueEnum as _};

use crate::cluster::{Cluster, ClusterArgs};
use crate::report::say;
use crate::steps::Step;
use crate::suite::Suite;

/// How long a cluster may take for anything. Only a step that fails anyway waits this long.
const PATIENCE: Duration = Duration::from_secs(120);
/// There is no cluster here: neither passed nor failed, as automake has it.
const NOT_RUN: u8 = 77;
/// What the chart installs in these tests.
const PACKAGES: [&str; 4] = ["farmlokal-api", "farmlokal-seed", "farmlokal-controller", "farmlokal-sandbox"];

/// Proves FarmLokal on the cluster of the current kubeconfig.
#[derive(Debug, Parser)]
#[command(name = "farmlokal-e2e", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    cluster: ClusterArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the steps, all of them or some
    Run(RunArgs),
    /// Build images of our binaries and load them into the cluster
    Images,
}

#[derive(Args, Debug)]
struct RunArgs {
    /// Only these steps, on what an earlier run has left; without `install`, it has to have left something
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Step>,
    /// Leave everything as it is at the end
    #[arg(long)]
    keep: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let cluster = match Cluster::find(cli.cluster).await {
        Ok(cluster) => cluster,
        Err(error) => {
            eprintln!("farmlokal-e2e: not run: {error:#}");
            return ExitCode::from(NOT_RUN);
        }
    };
    let done = match &cli.command {
        Command::Images => cluster.load_images(&PACKAGES).await,
        Command::Run(args) => run(args, &cluster).await,
    };
    if let Err(error) = done {
        eprintln!("farmlokal-e2e: {error:#}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

async fn run(args: &RunArgs, cluster: &Cluster) -> Result<()> {
    report::step("preparation", "images, database and Redis");
    if wanted(args).any(|step| step == Step::Install) {
        let started = Instant::now();
        cluster.load_images(&PACKAGES).await?;
        stage::prepare(cluster).await?;
        say!("done in {}", report::time(started.elapsed()));
    }
    let suite = Suite { cluster };
    let (started, mut proved) = (Instant::now(), 0);
    for step in wanted(args) {
        let value = step.to_possible_value().context("a step without a name")?;
        let about = value.get_help().map(ToString::to_string).unwrap_or_default();
        report::step(value.get_name(), &about);
        let began = Instant::now();
        if let Err(error) = step.run(&suite).await {
            say!("FAILED: {error:#}");
            diagnose::print().await;
            return Err(error.context(format!("step {}", value.get_name())));
        }
        say!("done in {}", report::time(began.elapsed()));
        proved += 1;
    }
    if !args.keep && args.only.is_empty() {
        stage::clear().await?;
    }
    report::step("e2e", &format!("all steps passed in {}", report::time(started.elapsed())));
    report::result(proved);
    Ok(())
}

/// The steps to run, in order.
fn wanted(args: &RunArgs) -> impl Iterator<Item = Step> {
    let asked = |step: &Step| args.only.is_empty() || args.only.contains(step);
    Step::value_variants().iter().copied().filter(asked)
}
