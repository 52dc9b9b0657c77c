//! `farmlokal-dev test`: formatting, lints, documentation, dependencies, then every test against real servers.

use std::process::Command;

use anyhow::Result;
use clap::Args;
use farmlokal_devstack::{Stack, cargo, run};

#[derive(Args, Debug)]
pub(crate) struct TestArgs {
    /// Run the tests only, without the checks before them
    #[arg(long)]
    only_tests: bool,
    /// Arguments for cargo test, such as -p farmlokal-api -- --nocapture
    #[arg(last = true)]
    cargo_test: Vec<String>,
}

pub(crate) fn test(args: &TestArgs) -> Result<()> {
    if !args.only_tests {
        check()?;
    }
    let stack = Stack::start_for_tests()?;
    let mut tests = cargo();
    tests.arg("test");
    // The tools too, unless some packages are asked for.
    let mut before_filters = args.cargo_test.iter().take_while(|arg| *arg != "--");
    if !before_filters
        .any(|arg| ["-p", "--package", "--workspace", "--manifest-path"].contains(&arg.as_str()))
    {
        tests.arg("--workspace");
    }
    tests.args(&args.cargo_test);
    stack.configure(&mut tests);
    step(&tests)
}

/// What needs no server.
fn check() -> Result<()> {
    let mut format = cargo();
    step(format.args(["fmt", "--all", "--check"]))?;
    let mut lint = cargo();
    step(lint.args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    let mut document = cargo();
    step(document.args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    if cargo().args(["deny", "--version"]).output().is_ok_and(|output| output.status.success()) {
        let mut dependencies = cargo();
        step(dependencies.args(["deny", "--workspace", "check"]))?;
    } else {
        eprintln!(
            "== no cargo-deny here (cargo install cargo-deny): licences and advisories are not checked"
        );
    }
    Ok(())
}

fn step(command: &Command) -> Result<()> {
    let words = command.get_args().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
    eprintln!("== cargo {words}");
    run(command)
}
