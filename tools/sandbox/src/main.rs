//! `farmlokal-sandbox`: the partners, simulated, until SIGTERM or SIGINT.

use std::process::ExitCode;

use farmlokal_sandbox::{Cli, Sandbox};
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(farmlokal_settings::parse::<Cli>()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("farmlokal-sandbox: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    farmlokal_telemetry::init(&cli.logs)?;
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let sandbox = Sandbox::start_with(cli.config).await?;
    info!(address = %sandbox.address(), "listening");
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    info!("shutting down");
    sandbox.stop().await;
    Ok(())
}
