//! `farmlokal-api`: serves the REST API, migrates the database, makes search indexes rebuild, prints the OpenAPI
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
            eprintln!("farmlokal-api: {}", farmlokal_settings::with_causes(&error));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    let command = cli.command.unwrap_or_else(|| Command::Serve(Box::new(cli.serve)));
    let threads = Runtime::new().context("threads for tokio")?;
    let text = match command {
        Command::Serve(args) => return threads.block_on(serve::run(*args)),
        Command::Migrate(args) => return threads.block_on(migrate::run(&args)),
        Command::Reindex(args) => threads.block_on(reindex::run(&args))?,
        Command::Openapi(args) => openapi::document(&args.auth).to_pretty_json()?,
        Command::Check(args) => threads.block_on(check::run(&args))?,
    };
    #[expect(clippy::print_stdout, reason = "it is what was asked for")]
    {
        println!("{text}");
    }
    Ok(())
}
