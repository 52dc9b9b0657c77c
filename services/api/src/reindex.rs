//! `farmlokal-api reindex`: for whoever has changed products by SQL, which no search index can see.

use farmlokal_catalog::Catalog;

use crate::config::ReindexArgs;

/// Makes every API process rebuild its search index, and says so in one line. Searches get a 503 until that is done.
///
/// # Errors
/// A database that cannot be reached, or that holds no catalogue.
pub async fn run(args: &ReindexArgs) -> anyhow::Result<String> {
    let catalog = Catalog::new(args.database.options()?, &args.catalog)?;
    catalog.announce_replacement().await?;
    catalog.close().await;
    Ok("every search index will be rebuilt".to_owned())
}
