//! The database servers' settings. `--loose-` stands before what only one of MariaDB and MySQL knows.

pub(crate) const COMMON: [&str; 5] = [
    "--skip-name-resolve",
    "--local-infile=OFF",
    "--max-connections=500",
    "--character-set-server=utf8mb4",
    "--loose-mysqlx=OFF",
];

/// For a server that others follow, or that follows another and may take its place.
pub(crate) const REPLICATION: [&str; 8] = [
    "--log-bin=binlog",
    "--binlog-format=ROW",
    "--log-slave-updates",
    "--relay-log=relay",
    "--loose-gtid-mode=ON",
    "--loose-enforce-gtid-consistency=ON",
    // The init file starts it.
    "--loose-skip-slave-start",
    "--loose-skip-replica-start",
];

/// A million products and their indexes take about 1 GiB: kept in memory, with a redo log and sort buffers large enough
/// to load them and to build the indexes at the disk's speed.
pub(crate) const DEVELOPMENT: &[&str] = &[
    "--innodb-buffer-pool-size=1G",
    // A crash of the machine may lose the last second of a catalogue that can be seeded again.
    "--innodb-flush-log-at-trx-commit=2",
    "--loose-innodb-log-file-size=512M",
    "--loose-innodb-redo-log-capacity=512M",
    "--innodb-io-capacity=2000",
    "--innodb-flush-neighbors=0",
    // All that was in memory is there again a second after the next start.
    "--innodb-buffer-pool-dump-pct=100",
];

/// Fast rather than safe: nothing is kept.
pub(crate) const TESTS: &[&str] =
    &["--innodb-buffer-pool-size=256M", "--innodb-flush-log-at-trx-commit=2", "--innodb-doublewrite=OFF"];
