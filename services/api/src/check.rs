//! `farmlokal-api check`: asks a running API for a list and reads it as a client would. It is what `helm test` runs: the
//! images have no shell and no curl.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use crate::config::CheckArgs;
use crate::partners;

/// A page as clients rely on it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    data: Vec<Product>,
    count: usize,
    next_cursor: Option<String>,
    has_more: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Product {
    id: u64,
    name: String,
    #[serde(rename = "category")]
    _category: String,
    #[serde(rename = "price")]
    _price: f64,
}

/// Asks for the list and says in one line what it holds; a list without products is one too.
///
/// # Errors
/// No answer in time, a status other than 200, or a body that is no list of products.
pub async fn run(args: &CheckArgs) -> anyhow::Result<String> {
    let page = fetch(&args.url, args.timeout).await.with_context(|| format!("GET {}", args.url))?;
    ensure!(page.count == page.data.len(), "count is {} for {} products", page.count, page.data.len());
    ensure!(page.has_more == page.next_cursor.is_some(), "hasMore and nextCursor contradict each other");
    Ok(match page.data.first() {
        Some(first) => format!("{} products, the first is {}: {}", page.count, first.id, first.name),
        None => "0 products".to_owned(),
    })
}

async fn fetch(url: &str, timeout: Duration) -> anyhow::Result<Page> {
    let response = partners::client()?.get(url).timeout(timeout).send().await;
    // The caller names the URL.
    let response = response.map_err(reqwest::Error::without_url)?;
    let status = response.status();
    let body = response.bytes().await.map_err(reqwest::Error::without_url)?;
    // An ingress answers with a page: its first line says enough.
    ensure!(status == 200, "{status}: {}", String::from_utf8_lossy(&body).lines().next().unwrap_or_default());
    serde_json::from_slice(&body).context("no list of products")
}
