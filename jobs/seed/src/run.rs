//! The phases of a seed run. A phase that an earlier run has finished is left out.

use anyhow::{Context as _, bail};
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
    let database = cli.database.url()?.as_str().parse().context("the database URL")?;
    let mut load = Load::begin(database, cli.wait).await?;
    let mut progress = Progress::new();

    let label = format!("seed {} rows {} data {GENERATOR:016x}", cli.seed, cli.rows);
    let swapped = match load.contents().await? {
        Contents::Loaded { label: present, finished: true } if present == label => {
            metrics::rows(cli.rows);
            progress.say(&format!("already seeded: {label}"));
            return Ok(load.close().await?);
        }
        Contents::Loaded { label: present, .. } if present == label => true,
        Contents::Unknown if !cli.replace => {
            bail!("the catalogue holds products that were not seeded: --replace drops them")
        }
        Contents::Loaded { label: present, .. } if !cli.replace => {
            bail!("the catalogue holds other products ({present}; wanted: {label}): --replace drops them")
        }
        Contents::Loaded { finished: false, .. } => {
            progress.say("finishing an interrupted run before replacing its products");
            add_later_indexes(&mut load, &mut progress).await?;
            load.finish().await?;
            false
        }
        Contents::Nothing | Contents::Unknown | Contents::Loaded { .. } => false,
    };

    if !swapped {
        load_rows(&mut load, &mut progress, cli, &label).await?;
        let phase = progress.statement("indexes");
        load.add_indexes().await?;
        progress.done(&phase);
        let phase = progress.statement("swap");
        load.swap().await?;
        progress.done(&phase);
    }
    metrics::rows(cli.rows);
    // The new products are listed from here on. The flush at the end must succeed, this one need not.
    if cache.flush().await.is_err() {
        tracing::info!("entries of the old catalogue may be served until the end");
    }
    progress.say("lists are served");
    add_later_indexes(&mut load, &mut progress).await?;
    // Cached searches may have been answered by the old catalogue or refused. Until this is done the run is unfinished.
    let phase = progress.statement("flush");
    cache.flush().await.context("everything is seeded, run again to flush the cache")?;
    progress.done(&phase);
    load.finish().await?;
    progress.say(&format!("seeded {} products in {}", cli.rows, progress.summary()));
    Ok(load.close().await?)
}

async fn load_rows(load: &mut Load, progress: &mut Progress, cli: &Cli, label: &str) -> anyhow::Result<()> {
    let present = load.stage(label).await?;
    if present > 0 {
        progress.say(&format!("going on after {present} rows of an interrupted run"));
    }
    let phase = progress.rows("loading", present, cli.rows);
    let mut batches = make_batches(Products::new(cli.seed)?, present, cli.rows, cli.batch);
    while let Some((last, batch)) = batches.recv().await {
        load.insert(batch?).await?;
        phase.advance_to(last);
    }
    progress.done(&phase);
    Ok(())
}

/// Makes and encodes rows on a thread of its own, while others are inserted.
fn make_batches(
    products: Products,
    present: u64,
    rows: u64,
    batch: u64,
) -> mpsc::Receiver<(u64, anyhow::Result<Batch>)> {
    let (sender, receiver) = mpsc::channel(BATCHES_AHEAD);
    std::thread::spawn(move || {
        let mut done = present;
        while done < rows {
            let last = rows.min(done + batch);
            let made: Vec<Product> = (done + 1..=last).map(|id| products.product(id)).collect();
            let encoded = Batch::encode(&made).context("encoding rows");
            if sender.blocking_send((last, encoded)).is_err() {
                return;
            }
            done = last;
        }
    });
    receiver
}

/// The indexes that lists can do without.
async fn add_later_indexes(load: &mut Load, progress: &mut Progress) -> anyhow::Result<()> {
    let phase = progress.statement("price bands");
    load.add_price_bands().await?;
    progress.done(&phase);
    let phase = progress.statement("full text");
    load.add_full_text().await?;
    progress.done(&phase);
    Ok(())
}
