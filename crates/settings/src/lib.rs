//! The settings that every FarmLokal binary shares.
//!
//! A setting is a flag and an environment variable at once; a `.env` file in the working directory or above it fills in
//! what the environment leaves open. `--help` documents each of them, and a bad value ends the start with one line.

mod database;
mod error;
mod pem;
mod redis;
mod server_url;

pub use database::{DatabaseArgs, ReplicaArgs};
pub use pem::certificates;
pub use redis::RedisArgs;
pub use server_url::parse as server_url;

use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use clap::builder::Resettable;
use clap::{Arg, Command, Parser};

/// Reads flags, the environment and `.env` into `T`, or ends the process: with the help text where it was asked for
/// (exit code 0), else with one line on standard error that names the bad setting (exit code 2).
///
/// An empty environment variable counts as not set, in `.env` too.
#[must_use]
pub fn parse<T: Parser>() -> T {
    let parsed = load_dotenv().and_then(|()| {
        let mut command = without_empty(T::command());
        error::not_utf8(&command)?;
        let matches = command.try_get_matches_from_mut(std::env::args_os());
        match matches.and_then(|matches| T::from_arg_matches(&matches)) {
            Ok(settings) => Ok(settings),
            // Again, with the variables that are empty.
            Err(error) if !error.use_stderr() => Ok(T::parse()),
            Err(error) => Err(error::one_line(&error, &command)),
        }
    });
    parsed.unwrap_or_else(|message| {
        let program = std::env::args().next().unwrap_or_default();
        eprintln!("{}: {message}", program.rsplit('/').next().unwrap_or_default());
        std::process::exit(2)
    })
}

/// Puts the first `.env` of this directory and those above it into the environment, where a variable is not set or empty.
fn load_dotenv() -> Result<(), String> {
    let directory = std::env::current_dir().unwrap_or_default();
    let Some(path) = directory.ancestors().map(|above| above.join(".env")).find(|path| path.is_file()) else {
        return Ok(());
    };
    let text = std::fs::read_to_string(path).map_err(|error| format!(".env: {error}"))?;
    let text = text.trim_start_matches('\u{feff}');
    let values = dotenvy::from_read_iter(text.as_bytes()).collect::<Result<Vec<_>, _>>();
    // dotenvy overrides all variables or none, empty ones too: it gets those that may be set. The last one of a name wins
    // there, and the first one in a `.env`.
    let values = values.map(|values| {
        let is_open = |name: &str| std::env::var_os(name).is_none_or(|value| value.is_empty());
        let open = values.iter().rev().filter(|(name, _)| is_open(name));
        open.map(|(name, value)| format!("{name}=\"{}\"\n", escaped(value))).collect::<Vec<_>>().concat()
    });
    // The error's own text would repeat the line, which may hold a password.
    values.and_then(|open| dotenvy::from_read_override(open.as_bytes())).map_err(|_| {
        let lines: Vec<_> = text.split_inclusive('\n').collect();
        let can_be_read = |count: &usize| {
            dotenvy::from_read_iter(lines[..*count].concat().as_bytes()).all(|item| item.is_ok())
        };
        let good = (0..lines.len()).rev().find(can_be_read).unwrap_or_default();
        format!(".env: line {} cannot be read: write NAME=value, or NAME=\"a value\"", good + 1)
    })
}

/// `value` as it stands between double quotes.
fn escaped(value: &str) -> String {
    let escaped = value.replace('\\', r"\\").replace('"', "\\\"").replace('$', r"\$");
    escaped.replace('\n', r"\n")
}

fn without_empty(command: Command) -> Command {
    let is_empty = |arg: &Arg| {
        let value = arg.get_env().and_then(std::env::var_os);
        value.is_some_and(|value| value.is_empty())
    };
    let command = command.mut_args(|arg| if is_empty(&arg) { arg.env(Resettable::Reset) } else { arg });
    command.mut_subcommands(without_empty)
}

/// Parses a duration with its unit, such as `250ms`, `60s` or `5m`, as clap's `value_parser`.
///
/// # Errors
/// A number without a unit, or anything else that is no duration.
pub fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error} (write 250ms, 60s or 5m)"))
}

/// As [`duration`], for what makes no sense at zero.
///
/// # Errors
/// As [`duration`], and zero.
pub fn nonzero_duration(text: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    if duration.is_zero() { Err("must be above zero".into()) } else { Ok(duration) }
}

/// The error of a process that cannot listen, with the setting that is wrong: `HOST` for an address that the machine does
/// not have, otherwise that of the port.
#[must_use]
pub fn cannot_listen(error: &Error, address: SocketAddr, port: &str) -> Error {
    let setting = if error.kind() == ErrorKind::AddrNotAvailable { "HOST" } else { port };
    Error::new(error.kind(), format!("{setting}: cannot listen on {address}: {error}"))
}

/// An error and its causes in one line. Some libraries' errors repeat their cause in their own text: it is said once.
#[must_use]
pub fn with_causes(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |said, cause| match cause.to_string() {
        text if said.ends_with(&text) => said,
        text if said.is_empty() => text,
        text => format!("{said}: {text}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let cause = anyhow::anyhow!("refused");
        let error = cause.context("cannot connect: refused").context("no flush");
        assert_eq!(with_causes(&error), "no flush: cannot connect: refused");
    }

    #[test]
    fn dotenvy_reads_back_what_is_escaped() {
        for value in ["", "a b#c", r#"$HOME ${HOME} "q" 'p'"#, r"back\slash\n", "two\nlines", "ä=1 "] {
            let line = format!("NAME=\"{}\"\n", escaped(value));
            let read: Vec<_> = dotenvy::from_read_iter(line.as_bytes()).map(Result::unwrap).collect();
            assert_eq!(read, [("NAME".to_owned(), value.to_owned())], "{line}");
        }
    }

    /// Parses flags alone, whatever the environment of the tests holds. The error is the line that `parse` would print.
    pub(crate) fn parse_flags<T: Parser>(flags: &[&str]) -> Result<T, String> {
        let mut command = T::command().mut_args(|arg| arg.env(Resettable::Reset));
        let matches = command.try_get_matches_from_mut([&["x"], flags].concat());
        let parsed = matches.and_then(|matches| T::from_arg_matches(&matches));
        parsed.map_err(|error| error::one_line(&error, &command))
    }
}
