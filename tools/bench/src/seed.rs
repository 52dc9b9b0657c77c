//! Seeding a million products into an empty database: until lists are served, and until searches are.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use sqlx::Connection as _;
use sqlx::mysql::MySqlConnection;
use tokio::process::Command;
use tokio::time::sleep;

use crate::environment::Environment;
use crate::report::Report;

const DATABASE: &str = "farmlokal_seed_bench";
const POLL: Duration = Duration::from_millis(50);

/// Runs the seed job on a database of its own, which is dropped afterwards.
pub(crate) async fn bench(environment: &Environment) -> Result<()> {
    let command = "cargo run --release -p farmlokal-bench -- bench seed";
    let mut report = Report::new("seed", "Seeding a million products", command);
    let url = environment.database_named(DATABASE)?;
    let mut connection = MySqlConnection::connect(&environment.database_url).await?;
    for statement in [format!("DROP DATABASE IF EXISTS {DATABASE}"), format!("CREATE DATABASE {DATABASE}")] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await?;
    }
    farmlokal_catalog::migrate(url.parse()?).await?;

    let log = std::fs::File::create(environment.scratch("bench-seed.log"))?;
    let started = Instant::now();
    let mut seed = Command::new(environment.program("farmlokal-seed"))
        .args(["--rows", "1000000"])
        .env("DATABASE_URL", &url)
        .env("REDIS_URL", &environment.redis_url)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .context("cannot run farmlokal-seed")?;
    let any = format!("SELECT EXISTS (SELECT 1 FROM {DATABASE}.products)");
    let mut listable = None;
    let status = loop {
        if listable.is_none() && is_listable(&mut connection, &any).await {
            listable = Some(started.elapsed());
        }
        if let Some(status) = seed.try_wait()? {
            break status;
        }
        sleep(POLL).await;
    };
    let searchable = started.elapsed();
    ensure!(
        status.success(),
        "the seed job failed ({status}): see {}",
        environment.scratch("bench-seed.log").display()
    );
    let count: i64 =
        sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT COUNT(*) FROM {DATABASE}.products")))
            .fetch_one(&mut connection)
            .await?;
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("DROP DATABASE {DATABASE}"))).execute(&mut connection).await?;

    report.say(&format!(
        "{count} products into an empty database: lists served after **{:.1} s**, the full-text index and the job done \
         after **{:.1} s**.",
        listable.unwrap_or(searchable).as_secs_f64(),
        searchable.as_secs_f64()
    ));
    report.finish(&environment.root)
}

/// While the seed job swaps tables, there may be none for a moment.
async fn is_listable(connection: &mut MySqlConnection, any: &str) -> bool {
    let found = sqlx::query_scalar::<_, i64>(sqlx::AssertSqlSafe(any.to_owned())).fetch_one(connection).await;
    found.is_ok_and(|found| found == 1)
}
