//! `farmlokal-seed`: fills the catalogue with products that depend on nothing but a seed.

mod config;
mod flush;
mod metrics;
mod products;
mod progress;
mod run;

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use self::config::Cli;

/// The exit codes that a shell reports for a process that was ended by the signal.
const EXIT_INTERRUPTED: u8 = 128 + 2;
const EXIT_TERMINATED: u8 = 128 + 15;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = farmlokal_settings::parse::<Cli>();
    match seed_until_stopped(&cli).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("farmlokal-seed: {}", farmlokal_settings::with_causes(&error));
            ExitCode::FAILURE
        }
    }
}

/// A signal ends the run at any point, as a crash would. The next run continues from what is in the database.
async fn seed_until_stopped(cli: &Cli) -> anyhow::Result<ExitCode> {
    let metrics = farmlokal_telemetry::init(&cli.logs)?;
    metrics::start(cli.rows);
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut tasks = JoinSet::new();
    if let Some(port) = cli.management_port {
        metrics::serve(metrics, SocketAddr::new(cli.host, port), &mut tasks)?;
    }
    let code = tokio::select! {
        seeded = run::seed(cli) => return seeded.map(|()| ExitCode::SUCCESS),
        Some(ended) = tasks.join_next() => {
            ended.context("the management server")?;
            bail!("the management server has ended")
        }
        _ = interrupt.recv() => EXIT_INTERRUPTED,
        _ = terminate.recv() => EXIT_TERMINATED,
    };
    eprintln!("farmlokal-seed: stopped; run it again to go on from here");
    Ok(ExitCode::from(code))
}
