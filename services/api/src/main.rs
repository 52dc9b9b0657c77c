//! `farmlokal-api`: serves the REST API, migrates the database, makes search indexes read it anew, prints the OpenAPI
//! document, checks another API.

use std::process::ExitCode;

use anyhow::Context as _;
use farmlokal_api::config::{Cli, Command};
use farmlokal_api::{check, migrate, openapi, reindex, serve};
use mimalloc::MiMalloc;
use tokio::runtime::Runtime;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let cli = farmlokal_settings::parse::<Cli>();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("farmlokal-api: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        None => threads()?.block_on(serve::run(cli.serve)),
        Some(Command::Serve(args)) => threads()?.block_on(serve::run(*args)),
        Some(Command::Migrate(args)) => threads()?.block_on(migrate::run(&args)),
        Some(Command::Reindex(args)) => threads()?.block_on(reindex::run(&args)).map(|text| print(&text)),
        Some(Command::Openapi) => {
            openapi::document().to_pretty_json().map_err(Into::into).map(|text| print(&text))
        }
        Some(Command::Check(args)) => threads()?.block_on(check::run(&args)).map(|text| print(&text)),
    }
}

fn threads() -> anyhow::Result<Runtime> {
    Runtime::new().context("threads for tokio")
}

#[expect(clippy::print_stdout, reason = "it is what was asked for")]
fn print(text: &str) {
    println!("{text}");
}
