//! The database servers' settings. `--loose-` stands before what only one of MariaDB and MySQL knows.

use std::fs;
use std::process::Command;
use std::thread::available_parallelism;

const MIB: u64 = 1 << 20;

const COMMON: [&str; 6] = [
    "--skip-log-bin",
    "--skip-name-resolve",
    "--local-infile=OFF",
    "--max-connections=500",
    "--character-set-server=utf8mb4",
    "--loose-mysqlx=OFF",
];

/// A million products and their indexes take about 1 GiB: kept in memory where there is enough of it, with a redo log
/// and sort buffers large enough to load them and to build the full-text index at the disk's speed.
pub(crate) fn for_development() -> Vec<String> {
    let buffer_pool = (memory().unwrap_or(0) / 8).clamp(256 * MIB, 1024 * MIB);
    let cores = available_parallelism().map_or(2, usize::from).clamp(2, 16);
    let mut settings: Vec<String> = COMMON.map(String::from).into();
    settings.extend([
        format!("--innodb-buffer-pool-size={buffer_pool}"),
        // A crash of the machine may lose the last second of a catalogue that can be seeded again.
        "--innodb-flush-log-at-trx-commit=2".into(),
        "--loose-innodb-log-file-size=512M".into(),
        "--loose-innodb-redo-log-capacity=512M".into(),
        "--innodb-ft-cache-size=80000000".into(),
        format!("--innodb-ft-sort-pll-degree={cores}"),
        "--innodb-io-capacity=2000".into(),
        "--innodb-flush-neighbors=0".into(),
        // All that was in memory is there again a second after the next start: a search would be refused before it is.
        "--innodb-buffer-pool-dump-pct=100".into(),
    ]);
    settings
}

/// Fast rather than safe: nothing is kept.
pub(crate) fn for_tests() -> Vec<String> {
    let mut settings: Vec<String> = COMMON.map(String::from).into();
    settings.extend(
        ["--innodb-buffer-pool-size=256M", "--innodb-flush-log-at-trx-commit=2", "--innodb-doublewrite=OFF"]
            .map(String::from),
    );
    settings
}

/// The machine's memory in bytes.
fn memory() -> Option<u64> {
    if let Ok(text) = fs::read_to_string("/proc/meminfo") {
        let kib =
            text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?.trim().strip_suffix("kB")?.trim();
        return Some(kib.parse::<u64>().ok()? * 1024);
    }
    let output = Command::new("sysctl").args(["-n", "hw.memsize"]).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
