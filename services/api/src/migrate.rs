//! `farmlokal-api migrate`: brings the schema up to date, as a step of its own.

use anyhow::anyhow;
use farmlokal_catalog::MigrateError;
use tracing::info;

use crate::config::MigrateArgs;

/// Applies the migrations that the database lacks, and logs each.
///
/// # Errors
/// A database that does not exist or cannot be reached, that a newer program has migrated, or that another run has locked for long.
pub async fn run(args: &MigrateArgs) -> anyhow::Result<()> {
    farmlokal_telemetry::init(&args.logs)?;
    let applied = farmlokal_catalog::migrate(args.database.options()?).await.map_err(explain)?;
    for migration in &applied {
        info!(version = migration.version, description = %migration.description, "migrated");
    }
    info!(applied = applied.len(), "the schema is up to date");
    Ok(())
}

fn explain(error: MigrateError) -> anyhow::Error {
    match error {
        MigrateError::MissingDatabase(name) => anyhow!(
            "DB_NAME: the server has no database {name:?}; correct the name (or DATABASE_URL), or create it: \
             CREATE DATABASE `{name}` CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci",
        ),
        // The error's text holds its source's already.
        error => anyhow!("the database cannot be migrated: {error}"),
    }
}
