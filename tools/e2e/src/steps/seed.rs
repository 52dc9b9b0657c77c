//! `kubectl create job --from=cronjob/farmlokal-seed` seeds; a second run finds everything there.

use std::time::Instant;

use anyhow::{Result, ensure};

use crate::kubectl::{self, RELEASE};
use crate::report;
use crate::suite::{ROWS, Suite};

pub(super) async fn run(suite: &Suite<'_>) -> Result<()> {
    for name in ["e2e-seed-1", "e2e-seed-2"] {
        let started = Instant::now();
        kubectl::run(&["delete", "job", name, "--ignore-not-found"]).await?;
        let (job, from) = (format!("job/{name}"), format!("--from=cronjob/{RELEASE}-seed"));
        kubectl::run(&["create", "job", name, &from]).await?;
        kubectl::run(&["wait", "--for=condition=Complete", &job, "--timeout=180s"]).await?;
        let rows = suite.sql("SELECT COUNT(*) FROM products").await?;
        ensure!(rows == ROWS.to_string(), "{rows} products after {name}");
        report::done(&format!("{name}: {rows} products"), started);
    }
    Ok(())
}
