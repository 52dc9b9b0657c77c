//! Programs that are called: kubectl, helm, docker and the commands of the settings.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// Longer than any single program here takes; what hangs should not hang for ever.
const PATIENCE: Duration = Duration::from_secs(600);

/// A command that ends with us.
pub(crate) fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).kill_on_drop(true);
    command
}

/// Runs `command`, with `input` on its standard input; returns what it printed.
///
/// # Errors
/// It cannot be started, or it failed: the error has what it said on standard error.
pub(crate) async fn output(mut command: Command, input: &str) -> Result<String> {
    let shown = format!("{:?}", command.as_std());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start {shown}"))?;
    let mut stdin = child.stdin.take().context("no standard input")?;
    let input = input.to_owned();
    // What a program does not read is its own affair: its exit code says whether that was wrong.
    let writing = tokio::spawn(async move {
        let _ = stdin.write_all(input.as_bytes()).await;
    });
    let ended = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
    let ended = ended.with_context(|| format!("{shown}: no end within {PATIENCE:?}"))??;
    writing.abort();
    let (said, complaint) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    if !ended.status.success() {
        bail!("{shown}: {}\n{}{}", ended.status, said.trim_end(), complaint.trim_end());
    }
    Ok(said.into_owned())
}
