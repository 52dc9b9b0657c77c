//! A catalogue made to be hard to list: columns that depend on each other, and ties by the hundred thousand.
//!
//! An optimiser that takes columns for independent walks half the table here: products of one price range lie all at
//! the far end of another sort.

use std::time::Duration;

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use farmlokal_catalog::bulk::{Batch, Contents, Load};
use farmlokal_catalog::{Price, Product};
use sqlx::Connection as _;
use sqlx::mysql::MySqlConnection;

use crate::environment::Environment;

const DATABASE: &str = "farmlokal_adversarial";
const ROWS: u64 = 1_000_000;
const BATCH: u64 = 10_000;
/// What the load is called: change it with the products.
const LABEL: &str = "adversarial 1";

/// The URL of the database, which is filled the first time.
pub(crate) async fn database(environment: &Environment) -> Result<String> {
    let url = environment.database_named(DATABASE)?;
    let mut connection = MySqlConnection::connect(&environment.database_url).await?;
    sqlx::query(sqlx::AssertSqlSafe(format!("CREATE DATABASE IF NOT EXISTS {DATABASE}")))
        .execute(&mut connection)
        .await?;
    farmlokal_catalog::migrate(url.parse()?).await?;
    let mut load = Load::begin(url.parse()?, Duration::from_secs(60)).await?;
    let present = load.contents().await?;
    if present != (Contents::Loaded { label: LABEL.to_owned(), finished: true }) {
        eprintln!("filling {DATABASE}");
        fill(&mut load).await?;
    }
    load.close().await?;
    Ok(url)
}

/// Without the full-text index: nobody searches here.
async fn fill(load: &mut Load) -> Result<()> {
    // What an interrupted run may have swapped already.
    load.finish().await?;
    let mut done = load.stage(LABEL).await?;
    while done < ROWS {
        let products: Vec<Product> = (done + 1..=done + BATCH).map(product).collect();
        load.insert(Batch::encode(&products)?).await?;
        done += BATCH;
    }
    load.add_indexes().await?;
    load.swap().await?;
    load.add_price_bands().await?;
    Ok(load.finish().await?)
}

fn product(id: u64) -> Product {
    // Three in ten have the same price; of the rest the price rises with the id, in steps of a thousand rows.
    let cents = if id % 10 < 3 { 999 } else { id / 1000 * 100 };
    let category = match (id, cents) {
        (999_901.., _) => "rare",
        (_, ..1_000) => "cheap",
        (_, 90_000..) => "dear",
        _ if id.is_multiple_of(7) => "some",
        _ => "most",
    };
    // Names fall as prices rise; of every second product there are but five names.
    let name = if id.is_multiple_of(2) {
        format!("Same name {}", id / 2 % 5)
    } else {
        format!("Product {:07}", ROWS - id)
    };
    // Times fall as ids rise, a hundred rows to the instant.
    let created_at =
        DateTime::<Utc>::UNIX_EPOCH + TimeDelta::seconds(1_700_000_000 - (id / 100).cast_signed());
    Product {
        id,
        name,
        description: "A product of a catalogue that is hard to list.".repeat(3),
        category: category.to_owned(),
        price: Price::from_cents(cents).unwrap_or(Price::MAX),
        created_at,
        updated_at: created_at,
    }
}
