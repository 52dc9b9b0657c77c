//! Results as Markdown: printed, and written to `loadtest/results/`.

use std::fmt::Write as _;
use std::fs::{self, read_to_string};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use chrono::Utc;

/// One file of results.
pub(crate) struct Report {
    name: &'static str,
    text: String,
}

impl Report {
    /// Starts `loadtest/results/<name>.md` with the title, the command that repeats it, the date and the machine.
    pub(crate) fn new(name: &'static str, title: &str, command: &str) -> Report {
        let date = Utc::now().format("%Y-%m-%d %H:%M UTC");
        let text = format!("# {title}\n\n`{command}`, {date}, {}.\n", machine());
        eprintln!("\n== {title}");
        Report { name, text }
    }

    /// Adds a paragraph.
    pub(crate) fn say(&mut self, paragraph: &str) {
        let _ = write!(self.text, "\n{paragraph}\n");
    }

    /// Adds a table: the first column to the left, the others to the right.
    pub(crate) fn table<const N: usize>(
        &mut self,
        head: [&str; N],
        rows: impl IntoIterator<Item = [String; N]>,
    ) {
        let rule = std::iter::once("---").chain(std::iter::repeat_n("---:", N - 1)).collect::<Vec<_>>();
        let _ = write!(self.text, "\n| {} |\n| {} |\n", head.join(" | "), rule.join(" | "));
        for row in rows {
            let _ = writeln!(self.text, "| {} |", row.join(" | "));
        }
    }

    /// Prints the report and writes its file.
    pub(crate) fn finish(self, root: &Path) -> Result<()> {
        let directory = root.join("loadtest/results");
        fs::create_dir_all(&directory)?;
        let file = directory.join(self.name).with_extension("md");
        fs::write(&file, &self.text).with_context(|| format!("cannot write {}", file.display()))?;
        writeln!(std::io::stdout(), "\n{}", self.text)?;
        eprintln!("written to {}", file.display());
        Ok(())
    }
}

/// The processor, the cores, the memory, the kernel and how busy the machine was before.
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
        "{cores} cores of {}, {} GB memory, Linux {}, load average at the start {}, {}",
        field(&read("/proc/cpuinfo"), "model name"),
        memory.div_ceil(1024 * 1024),
        read("/proc/sys/kernel/osrelease").split('-').next().unwrap_or("unknown").trim(),
        load.split(' ').next().unwrap_or("unknown"),
        rustc(),
    )
}

fn rustc() -> String {
    let output = Command::new("rustc").arg("--version").output();
    let version =
        output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    version.split(" (").next().unwrap_or("rustc").trim().to_owned()
}

/// Bytes as mebibytes with one decimal.
#[expect(clippy::cast_precision_loss, reason = "for people to read")]
pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
