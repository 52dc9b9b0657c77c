//! `farmlokal-api`: serves the REST API, migrates the database, prints the OpenAPI document, checks another API.

use std::process::ExitCode;

use anyhow::Context as _;
use farmlokal_api::config::{Cli, Command};
use farmlokal_api::{check, fill_runtime, migrate, openapi, serve};
use mimalloc::MiMalloc;
use tokio::runtime::{Handle, Runtime};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let cli = farmlokal_settings::parse::<Cli>();
    let done = fill_runtime::start().context("threads for the database").and_then(|fills| {
        // Ends first: nobody waits for a fill whose threads are gone.
        let requests = Runtime::new().context("threads for the requests")?;
        requests.block_on(run(cli, fills.handle().clone()))
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("farmlokal-api: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli, fills: Handle) -> anyhow::Result<()> {
    match cli.command {
        None => serve::run(cli.serve, fills).await,
        Some(Command::Serve(args)) => serve::run(*args, fills).await,
        Some(Command::Migrate(args)) => migrate::run(&args).await,
        Some(Command::Openapi) => {
            openapi::document().to_pretty_json().map_err(Into::into).map(|text| print(&text))
        }
        Some(Command::Check(args)) => check::run(&args).await.map(|text| print(&text)),
    }
}

#[expect(clippy::print_stdout, reason = "it is what was asked for")]
fn print(text: &str) {
    println!("{text}");
}
