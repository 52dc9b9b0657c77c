//! The phases of a seed run. A phase that an earlier run has finished is left out.

use std::ops::Range;

use anyhow::{Context as _, bail, ensure};
use farmlokal_catalog::Product;
use farmlokal_catalog::bulk::{Batch, Contents, Load};
use tokio::sync::mpsc;

use crate::config::Cli;
use crate::flush::CacheToFlush;
use crate::metrics;
use crate::products::{GENERATOR, Products};
use crate::progress::Progress;

/// Batches made ahead of the one being inserted; each takes some 10 MB.
const BATCHES_AHEAD: usize = 2;

pub(crate) async fn seed(cli: &Cli) -> anyhow::Result<()> {
    let cache = CacheToFlush::connect(cli).await?;
    let mut load = Load::begin(cli.database.options()?, cli.wait).await?;
    let mut progress = Progress::new();

    let label = format!("seed {} rows {} data {GENERATOR:016x}", cli.seed, cli.rows);
    let swapped = match load.contents().await? {
        Contents::Loaded { label: present, finished: true } if present == label => {
            metrics::rows(cli.rows);
            progress.say(&format!("already seeded: {label}"));
            return Ok(load.close().await?);
        }
        Contents::Loaded { label: present, .. } if present == label => true,
        Contents::Unknown | Contents::Loaded { .. } if cli.when_empty => {
            progress.say("the catalogue holds other products, which stay");
            return Ok(load.close().await?);
        }
        Contents::Unknown if !cli.replace => {
            bail!("the catalogue holds products that were not seeded: --replace drops them")
        }
        Contents::Loaded { label: present, .. } if !cli.replace => {
            bail!("the catalogue holds other products ({present}; wanted: {label}): --replace drops them")
        }
        Contents::Loaded { finished: false, .. } => {
            progress.say("finishing an interrupted run before replacing its products");
            finish(&mut load, &mut progress, &cache).await?;
            false
        }
        Contents::Nothing | Contents::Unknown | Contents::Loaded { .. } => false,
    };

    if !swapped {
        load_rows(&mut load, &mut progress, cli, &label).await?;
        progress.statement("indexes", load.add_indexes()).await?;
        progress.statement("swap", load.swap()).await?;
    }
    metrics::rows(cli.rows);
    finish(&mut load, &mut progress, &cache).await?;
    progress.say(&format!("seeded {} products in {}", cli.rows, progress.summary()));
    Ok(load.close().await?)
}

async fn load_rows(load: &mut Load, progress: &mut Progress, cli: &Cli, label: &str) -> anyhow::Result<()> {
    let present = load.stage(label).await?;
    if present > 0 {
        progress.say(&format!("going on after {present} rows of an interrupted run"));
    }
    let phase = progress.rows("loading", present, cli.rows);
    let products = Products::new(cli.seed)?;
    let insert = async |last, batch| {
        load.insert(batch).await?;
        phase.advance_to(last);
        Ok(())
    };
    make_batches(move |id| products.product(id), present..cli.rows, cli.batch, insert).await?;
    progress.done(phase);
    Ok(())
}

/// Makes and encodes the rows after `rows.start` up to `rows.end` on a thread of its own, while `insert` takes those that
/// are ready: a batch, and the id of its last row.
async fn make_batches(
    product: impl Fn(u64) -> Product + Send + 'static,
    rows: Range<u64>,
    batch: u64,
    mut insert: impl AsyncFnMut(u64, Batch) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (sender, mut batches) = mpsc::channel(BATCHES_AHEAD);
    let (mut inserted, wanted) = (rows.start, rows.end);
    let maker = tokio::task::spawn_blocking(move || {
        let mut done = rows.start;
        while done < rows.end {
            let last = rows.end.min(done + batch);
            let made: Vec<Product> = (done + 1..=last).map(&product).collect();
            let encoded = Batch::encode(&made).context("encoding rows");
            if sender.blocking_send((last, encoded)).is_err() {
                return;
            }
            done = last;
        }
    });
    while let Some((last, batch)) = batches.recv().await {
        insert(last, batch?).await?;
        inserted = last;
    }
    maker.await.context("making rows")?;
    ensure!(inserted >= wanted, "only {inserted} of {wanted} rows were made");
    Ok(())
}

/// Tells caches of the new products. Until this is done the run is unfinished, and the next one does it again.
async fn finish(load: &mut Load, progress: &mut Progress, cache: &CacheToFlush) -> anyhow::Result<()> {
    let flushed = progress.statement("flush", cache.flush()).await;
    flushed.context("everything is seeded, run again to flush the cache")?;
    Ok(load.finish().await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_while_rows_are_made_is_an_error() {
        let products = Products::new(1).unwrap();
        let product = move |id| if id == 25 { panic!("no row {id}") } else { products.product(id) };
        let mut inserted = 0;
        let insert = async |last, _: Batch| {
            inserted = last;
            Ok(())
        };
        let error = make_batches(product, 0..100, 10, insert).await.unwrap_err();
        assert_eq!(inserted, 20);
        assert!(format!("{error:#}").contains("no row 25"), "{error:#}");
    }

    #[tokio::test]
    async fn every_row_is_made_once() {
        let products = Products::new(1).unwrap();
        let mut batches = Vec::new();
        let insert = async |last, _: Batch| {
            batches.push(last);
            Ok(())
        };
        make_batches(move |id| products.product(id), 7..25, 10, insert).await.unwrap();
        assert_eq!(batches, [17, 25]);
    }
}
