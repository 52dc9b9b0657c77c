//! A run of the binary, and what it leaves in its database.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use farmlokal_testing::{TestDatabase, other_connections};
use sqlx::{Connection as _, MySqlConnection, MySqlPool};
use tokio::sync::OnceCell;

/// Enough for every phase to take some time, few enough for dozens of runs.
pub(crate) const ROWS: u64 = 30_000;

pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The job on this database, with test-sized rows and batches and without a cache.
pub(crate) fn job(database: &TestDatabase) -> Command {
    job_on(&database.url())
}

pub(crate) fn job_on(database_url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_farmlokal-seed"));
    command
        .env_clear()
        .env("DATABASE_URL", database_url)
        .env("LOG_FORMAT", "json")
        // No .env of the developer's.
        .current_dir(std::env::temp_dir())
        .env("SEED_ROWS", ROWS.to_string())
        .env("SEED_BATCH", "1000")
        .env("SEED_NO_FLUSH", "true")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

pub(crate) fn run(command: &mut Command) -> Ended {
    let output = command.output().unwrap();
    Ended {
        status: output.status,
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Ended {
    #[track_caller]
    pub(crate) fn expect_success(&self) -> &Self {
        assert!(self.status.success(), "{:?}\n{}\n{}", self.status, self.stdout, self.stderr);
        self
    }

    /// One line on standard error that says this.
    #[track_caller]
    pub(crate) fn expect_failure(&self, says: &str) {
        assert_eq!(self.status.code(), Some(1), "{}\n{}", self.stdout, self.stderr);
        assert!(self.stderr.contains(says) && self.stderr.lines().count() == 1, "{}", self.stderr);
    }
}

/// Kills a run with SIGKILL after some time, and tells whether it was still alive.
pub(crate) fn kill_after(command: &mut Command, delay: Duration) -> bool {
    let mut child = command.spawn().unwrap();
    std::thread::sleep(delay);
    kill(&mut child)
}

/// Kills a run as soon as it logs a line with both texts. Panics if it never does.
pub(crate) fn kill_at(command: &mut Command, texts: [&str; 2]) {
    // It may have ended by itself after its last line.
    kill(&mut started_until(command, texts));
}

/// Starts a run and waits until it logs a line with both texts. Panics if it never does.
pub(crate) fn started_until(command: &mut Command, texts: [&str; 2]) -> Child {
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let seen = lines.map_while(Result::ok).any(|line| texts.iter().all(|text| line.contains(text)));
    assert!(seen, "no line with {texts:?}");
    child
}

fn kill(child: &mut Child) -> bool {
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert!(status.signal() == Some(9) || status.success(), "{status:?}");
    status.signal().is_some()
}

/// Every column of every row, every index, every table, and whether search indexes were told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Catalogue {
    pub(crate) rows: u64,
    pub(crate) checksums: (u64, u64),
    pub(crate) indexes: Vec<String>,
    pub(crate) tables: Vec<String>,
    pub(crate) is_announced: bool,
}

pub(crate) async fn catalogue(database: &TestDatabase) -> Catalogue {
    catalogue_in(database.pool()).await
}

/// Waits until nobody else is in this database: the server finishes what a killed run had asked for.
pub(crate) async fn others_gone(database: &TestDatabase) {
    let mut connection = MySqlConnection::connect_with(&database.options).await.unwrap();
    let within = Duration::from_secs(30);
    let start = Instant::now();
    while !other_connections(&mut connection).await.is_empty() {
        assert!(start.elapsed() < within, "other connections are still there after {within:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    connection.close().await.unwrap();
}

pub(crate) async fn catalogue_in(pool: MySqlPool) -> Catalogue {
    let (rows, sum, xor): (u64, u64, u64) = sqlx::query_as(
        "SELECT CAST(COUNT(*) AS UNSIGNED), CAST(COALESCE(SUM(crc), 0) AS UNSIGNED), CAST(BIT_XOR(crc) AS UNSIGNED) FROM ( \
         SELECT CRC32(CONCAT_WS('|', id, name, description, category, price, created_at, updated_at)) \
         AS crc FROM products) rows_of_products",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    let indexes = sqlx::query_scalar(
        "SELECT CAST(CONCAT_WS(' ', index_name, index_type, non_unique, seq_in_index, column_name) AS CHAR) \
         FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name = 'products' \
         ORDER BY index_name, seq_in_index",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    let mut tables: Vec<String> = sqlx::query_scalar(
        "SELECT CAST(table_name AS CHAR) FROM information_schema.tables WHERE table_schema = DATABASE()",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    // The server's order depends on the connection's collation.
    tables.sort();
    let replaced = "SELECT CAST(COUNT(*) AS UNSIGNED) FROM change_counters WHERE slot = 0 AND changes > 0";
    let is_announced = sqlx::query_scalar::<_, u64>(replaced).fetch_one(&pool).await.unwrap() == 1;
    pool.close().await;
    Catalogue { rows, checksums: (sum, xor), indexes, tables, is_announced }
}

/// What a run that nothing disturbs leaves, and how long it takes.
pub(crate) async fn undisturbed() -> &'static (Catalogue, Duration) {
    static UNDISTURBED: OnceCell<(Catalogue, Duration)> = OnceCell::const_new();
    UNDISTURBED
        .get_or_init(|| async {
            let database = TestDatabase::create().await;
            let migrated = catalogue(&database).await;
            let started = Instant::now();
            run(&mut job(&database)).expect_success();
            let took = started.elapsed();
            let seeded = catalogue(&database).await;
            assert_eq!((seeded.rows, seeded.is_announced), (ROWS, true));
            assert_eq!(
                (&seeded.indexes, &seeded.tables),
                (&migrated.indexes, &migrated.tables),
                "as migrated"
            );
            (seeded, took)
        })
        .await
}
