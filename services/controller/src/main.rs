//! `farmlokal-controller`: flushes the cache when a `ProductCatalog` asks for it, or prints its definition.

use std::process::ExitCode;

use farmlokal_controller::config::{Cli, Command};
use farmlokal_controller::{crd, run};

// The system's allocator, unlike the API's: nothing here is hot, and at rest the other one holds 7 MB more.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = farmlokal_settings::parse::<Cli>();
    let done = match cli.command {
        None => run::run(cli.run).await,
        Some(Command::Crd) => crd::print(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("farmlokal-controller: {}", farmlokal_settings::with_causes(&error));
            ExitCode::FAILURE
        }
    }
}
