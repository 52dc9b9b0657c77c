//! Seeding the products into an empty database.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Connection as _};
use tokio::process::Command;

use crate::environment::Environment;
use crate::report::Report;

const DATABASE: &str = "farmlokal_seed_bench";

/// Runs the seed job on a database of its own, which is dropped afterwards.
pub(crate) async fn bench(environment: &Environment) -> Result<()> {
    let (server, _) = environment.stack.database_url().rsplit_once('/').context("no database in the URL")?;
    let url = format!("{server}/{DATABASE}");
    let mut connection = MySqlConnection::connect(environment.stack.database_url()).await?;
    let create = format!("DROP DATABASE IF EXISTS {DATABASE}; CREATE DATABASE {DATABASE}");
    sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut connection).await?;
    let migrate = Command::new(&environment.api).arg("migrate").env("DATABASE_URL", &url).status().await?;
    ensure!(migrate.success(), "farmlokal-api migrate failed ({migrate})");

    let started = Instant::now();
    let status = Command::new(environment.stack.program("farmlokal-seed"))
        .args(["--rows", &environment.rows.to_string()])
        .env("DATABASE_URL", &url)
        .env("REDIS_URL", environment.stack.redis_url())
        .kill_on_drop(true)
        .status()
        .await?;
    let took = started.elapsed().as_secs_f64();
    ensure!(status.success(), "the seed job failed ({status})");
    let count = AssertSqlSafe(format!("SELECT COUNT(*) FROM {DATABASE}.products"));
    let count: i64 = sqlx::query_scalar(count).fetch_one(&mut connection).await?;
    sqlx::raw_sql(AssertSqlSafe(format!("DROP DATABASE {DATABASE}"))).execute(&mut connection).await?;

    let mut report = Report::new(environment, "bench seed", "Seeding");
    report.say(&format!("{count} products into an empty database: {took:.1} s."));
    report.finish()
}
