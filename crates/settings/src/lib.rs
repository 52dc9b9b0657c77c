//! The settings that every FarmLokal binary shares.
//!
//! A setting is a flag and an environment variable at once; a `.env` file in the working directory fills in what the
//! environment leaves open. `--help` documents each of them, and a bad value ends the start with one line.

mod database;
mod redis;

pub use database::DatabaseArgs;
pub use redis::RedisArgs;

use std::time::Duration;

use clap::Parser;
use clap::error::ErrorKind;

/// Reads flags, the environment and `.env` into `T`, or ends the process: with the help text where it was asked for
/// (exit code 0), else with one line on standard error that names the bad setting (exit code 2).
#[must_use]
pub fn parse<T: Parser>() -> T {
    match dotenvy::dotenv() {
        // The error's own text would repeat the line, which may hold a password.
        Err(dotenvy::Error::LineParse(_, at)) => {
            exit_with(&format!(".env: a line cannot be read, at its character {at}"))
        }
        Err(error) if !error.not_found() => exit_with(&format!(".env: {error}")),
        _ => {}
    }
    T::try_parse().unwrap_or_else(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => error.exit(),
        _ => exit_with(&one_line(&error)),
    })
}

/// The whole of clap's message as one line, without its hints and usage.
fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let message = text.split("\n\n").next().unwrap_or(&text);
    message.trim_start_matches("error: ").split_whitespace().collect::<Vec<_>>().join(" ")
}

fn exit_with(message: &str) -> ! {
    let program = std::env::args().next().unwrap_or_default();
    let program = program.rsplit('/').next().unwrap_or_default();
    eprintln!("{program}: {message}");
    std::process::exit(2);
}

/// Parses a duration with its unit, such as `250ms`, `60s` or `5m`, as clap's `value_parser`.
///
/// # Errors
/// A number without a unit, or anything else that is no duration.
pub fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error} (write 250ms, 60s or 5m)"))
}

/// Parses flags alone, whatever the environment of the tests holds.
#[cfg(test)]
fn parse_flags<T: Parser>(flags: &[&str]) -> Result<T, clap::Error> {
    let command = T::command().mut_args(|arg| arg.env(clap::builder::Resettable::Reset));
    T::from_arg_matches(&command.try_get_matches_from([&["x"], flags].concat())?)
}

/// As [`duration`], for what makes no sense at zero.
///
/// # Errors
/// As [`duration`], and zero.
pub fn nonzero_duration(text: &str) -> Result<Duration, String> {
    duration(text).and_then(
        |duration| {
            if duration.is_zero() { Err("must be above zero".into()) } else { Ok(duration) }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[arg(long, value_parser = duration)]
        ttl: Duration,
    }

    #[test]
    fn a_bad_value_is_one_line_that_names_the_setting() {
        let error = Cli::try_parse_from(["x", "--ttl", "60"]).unwrap_err();
        let line = one_line(&error);
        assert!(line.starts_with("invalid value '60' for '--ttl <TTL>': "), "{line}");
        assert!(line.contains("write 250ms, 60s or 5m"), "{line}");
        assert!(!line.contains('\n') && !line.contains("--help"), "{line}");
    }
}
