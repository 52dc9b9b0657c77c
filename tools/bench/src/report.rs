//! Results as Markdown: printed, and written to `loadtest/results/`.

use std::fmt::Write as _;
use std::fs::{self, read_to_string};
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use chrono::Utc;

use crate::ROWS;
use crate::environment::Environment;

/// One file of results.
pub(crate) struct Report {
    file: PathBuf,
    text: String,
}

impl Report {
    /// Starts `loadtest/results/<name>.md` with the title, the command that repeats it, the date and the machine. The name is
    /// the command's first word, or the part of `bench`, and another number of products than usual.
    pub(crate) fn new(environment: &Environment, command: &str, title: &str) -> Report {
        let name = command.trim_start_matches("bench ").split(' ').next().unwrap_or(command);
        let (mut name, mut command) = (name.to_owned(), command.to_owned());
        if environment.rows != ROWS {
            let _ = write!(name, "-{}", environment.rows);
            let _ = write!(command, " --rows {}", environment.rows);
        }
        let date = Utc::now().format("%Y-%m-%d %H:%M UTC");
        let command = format!("cargo run --release -p farmlokal-bench -- {command}");
        let text = format!("# {title}\n\n`{command}`, {date}, {}.\n", machine());
        Report { file: environment.root.join("loadtest/results").join(name).with_extension("md"), text }
    }

    /// Adds a paragraph.
    pub(crate) fn say(&mut self, paragraph: &str) {
        let _ = write!(self.text, "\n{paragraph}\n");
    }

    /// Adds a table of cells with ` | ` between them: the first column to the left, the others to the right.
    pub(crate) fn table(&mut self, head: &str, rows: impl IntoIterator<Item = String>) {
        let rule = "---:|".repeat(head.matches(" | ").count());
        let _ = write!(self.text, "\n| {head} |\n|---|{rule}\n");
        for row in rows {
            let _ = writeln!(self.text, "| {row} |");
        }
    }

    /// Prints the report and writes its file.
    pub(crate) fn finish(self) -> Result<()> {
        let file = self.file;
        fs::write(&file, &self.text).with_context(|| format!("cannot write {}", file.display()))?;
        writeln!(std::io::stdout(), "\n{}", self.text)?;
        eprintln!("written to {}", file.display());
        Ok(())
    }
}

/// The processor, the cores, the memory, and how busy the machine was.
fn machine() -> String {
    let read = |path: &str| read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_once(':').map_or("unknown", |(_, value)| value.trim()).to_owned()
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory: u64 = field(&read("/proc/meminfo"), "MemTotal").trim_end_matches(" kB").parse().unwrap_or(0);
    let load = read("/proc/loadavg");
    format!(
        "{cores} cores of {}, {} GB memory, load average {}",
        field(&read("/proc/cpuinfo"), "model name"),
        memory.div_ceil(1024 * 1024),
        load.split(' ').next().unwrap_or("unknown"),
    )
}

/// Bytes as mebibytes with one decimal.
#[expect(clippy::cast_precision_loss, reason = "for people to read")]
pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
