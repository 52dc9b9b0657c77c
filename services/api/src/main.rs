//! `farmlokal-api`: serves the REST API, migrates the database, prints the OpenAPI document, checks another API.

use std::process::ExitCode;

use farmlokal_api::config::{Cli, Command};
use farmlokal_api::{check, migrate, openapi, serve};
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = farmlokal_settings::parse::<Cli>();
    let done = match cli.command {
        None => serve::run(cli.serve).await,
        Some(Command::Serve(args)) => serve::run(*args).await,
        Some(Command::Migrate(args)) => migrate::run(&args).await,
        Some(Command::Openapi) => {
            openapi::document().to_pretty_json().map_err(Into::into).map(|text| print(&text))
        }
        Some(Command::Check(args)) => check::run(&args).await.map(|text| print(&text)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("farmlokal-api: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "it is what was asked for")]
fn print(text: &str) {
    println!("{text}");
}
