//! What is said of a bad setting: one line that names it, and no secret.

use std::error::Error as _;

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Command};

/// # Errors
/// A variable in the environment that cannot be read as text: clap would not say which.
pub(crate) fn not_utf8(command: &Command) -> Result<(), String> {
    let variables = arguments(command).into_iter().filter_map(Arg::get_env);
    let mut bad =
        variables.filter(|name| std::env::var_os(name).is_some_and(|value| value.to_str().is_none()));
    bad.next().map_or(Ok(()), |name| Err(format!("{}: not UTF-8", name.display())))
}

/// The whole of clap's message as one line, without its hints and usage. It starts with the name of the environment
/// variable where the bad value is from there, and does not repeat a value that the help would not show.
pub(crate) fn one_line(error: &clap::Error, command: &Command) -> String {
    let text = error.to_string();
    let message = text.split("\n\n").next().unwrap_or(&text).trim_start_matches("error: ");
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let Some(arg) = bad_argument(error, command) else { return message };
    let variable = arg.get_env().filter(|name| std::env::var_os(name).is_some() && !is_on_command_line(arg));
    let setting = variable.map_or_else(|| arg.to_string(), |name| name.display().to_string());
    if arg.is_hide_env_values_set() {
        let reason = error.source().map_or_else(|| "invalid value".to_owned(), ToString::to_string);
        return format!("{setting}: {reason}");
    }
    if variable.is_some() { format!("{setting}: {message}") } else { message }
}

fn bad_argument<'c>(error: &clap::Error, command: &'c Command) -> Option<&'c Arg> {
    let Some(ContextValue::String(shown)) = error.get(ContextKind::InvalidArg) else { return None };
    arguments(command).into_iter().find(|arg| arg.to_string() == *shown)
}

fn is_on_command_line(arg: &Arg) -> bool {
    let flag = arg.get_long().map(|long| format!("--{long}"));
    std::env::args_os().any(|given| given.to_string_lossy().split('=').next() == flag.as_deref())
}

/// Those of its subcommands too.
fn arguments(command: &Command) -> Vec<&Arg> {
    command.get_arguments().chain(command.get_subcommands().flat_map(arguments)).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser;

    use crate::duration;
    use crate::tests::parse_flags;

    #[derive(Debug, Parser)]
    struct Cli {
        #[arg(long, default_value = "1s", value_parser = duration)]
        ttl: Duration,
        #[arg(long, hide_env_values = true, value_parser = |_: &str| Err::<String, _>("too short"))]
        secret: Option<String>,
    }

    #[test]
    fn a_bad_value_is_one_line_that_names_the_setting() {
        let line = parse_flags::<Cli>(&["--ttl", "60"]).unwrap_err();
        assert!(line.starts_with("invalid value '60' for '--ttl <TTL>': "), "{line}");
        assert!(line.contains("write 250ms, 60s or 5m"), "{line}");
        assert!(!line.contains('\n') && !line.contains("--help"), "{line}");
    }

    #[test]
    fn a_bad_secret_is_not_repeated() {
        let line = parse_flags::<Cli>(&["--secret", "hunter2"]).unwrap_err();
        assert_eq!(line, "--secret <SECRET>: too short");
    }
}
