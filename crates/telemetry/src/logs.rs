#![allow(clippy::doc_markdown, reason = "the help texts are for terminals")]

use std::io::IsTerminal as _;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

/// What is logged, and how.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Logs")]
pub struct LogArgs {
    /// One JSON object a line, or text for people
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t = LogFormat::Json)]
    log_format: LogFormat,
    /// Which events are logged: a level, or directives such as info,farmlokal_api=debug
    #[arg(long, env = "LOG_LEVEL", default_value = "info")]
    log_level: String,
}

/// The shape of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Text for people.
    Text,
}

pub(crate) fn init(args: &LogArgs) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&args.log_level)
        .with_context(|| format!("LOG_LEVEL: {:?} is no log filter", args.log_level))?;
    let logs = tracing_subscriber::fmt().with_env_filter(filter);
    let installed = match args.log_format {
        LogFormat::Json => logs.json().flatten_event(true).try_init(),
        LogFormat::Text => logs.compact().with_ansi(std::io::stdout().is_terminal()).try_init(),
    };
    installed.map_err(|error| anyhow::anyhow!("the logger: {error}"))
}
