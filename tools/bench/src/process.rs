//! What a process has used, from Linux's `/proc`.

use std::fs::read_to_string;

use anyhow::{Context as _, Result};

/// Ticks a second in `/proc/<pid>/stat`: `USER_HZ`, the same on every architecture of today.
const TICKS: f64 = 100.0;

/// A running process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process(pub(crate) u32);

/// Memory in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// Resident now.
    pub(crate) now: u64,
    /// Resident at the most, since the process started.
    pub(crate) peak: u64,
}

impl Process {
    /// CPU time so far in seconds, user and system, of all threads.
    pub(crate) fn cpu_seconds(self) -> Result<f64> {
        let stat = read_to_string(format!("/proc/{}/stat", self.0)).context("the process has ended")?;
        // The second field is the program's name in parentheses and may hold spaces; utime and stime are 14 and 15.
        let (_, rest) = stat.rsplit_once(')').context("no name in /proc/<pid>/stat")?;
        let mut ticks = rest.split_whitespace().skip(11).map(str::parse::<u32>);
        let mut next = || ticks.next().context("/proc/<pid>/stat is short")?.context("/proc/<pid>/stat");
        Ok(f64::from(next()? + next()?) / TICKS)
    }

    /// Resident memory, now and at its peak.
    pub(crate) fn memory(self) -> Result<Memory> {
        let status = read_to_string(format!("/proc/{}/status", self.0)).context("the process has ended")?;
        let kilobytes = |field: &str| -> Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(field));
            let line = line.with_context(|| format!("no {field} in /proc/<pid>/status"))?;
            Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
        };
        Ok(Memory { now: kilobytes("VmRSS:")?, peak: kilobytes("VmHWM:")? })
    }
}
