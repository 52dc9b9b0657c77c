//! `farmlokal-dev test`: every test against real servers.

use anyhow::Result;
use clap::Args;
use farmlokal_devstack::{Stack, cargo, run};

#[derive(Args, Debug)]
pub(crate) struct TestArgs {
    /// Arguments for cargo test, such as -p farmlokal-api -- --nocapture
    #[arg(last = true)]
    cargo_test: Vec<String>,
}

pub(crate) fn test(args: &TestArgs) -> Result<()> {
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
    run(&tests)
}
