//! `farmlokal-api check`: asks a running API for a list and reads it as a client would. It is what `helm test` runs: the
//! images have no shell and no curl.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::config::CheckArgs;
use crate::object::object;
use crate::partners;

/// A page as clients rely on it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page<'b> {
    #[serde(borrow)]
    data: Vec<&'b RawValue>,
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
    fetch(&args.url, args.timeout).await.with_context(|| format!("GET {}", args.url))
}

fn summary(body: &[u8]) -> anyhow::Result<String> {
    let page: Page<'_> = object(body).context("no list of products")?;
    let products = page.data.iter().map(|product| object::<Product>(product.get().as_bytes()));
    let products = products.collect::<Result<Vec<_>, _>>().context("no list of products")?;
    ensure!(page.count == products.len(), "count is {} for {} products", page.count, products.len());
    ensure!(page.has_more == page.next_cursor.is_some(), "hasMore and nextCursor contradict each other");
    Ok(match products.first() {
        Some(first) => format!("{} products, the first is {}: {}", page.count, first.id, first.name),
        None => "0 products".to_owned(),
    })
}

async fn fetch(url: &str, timeout: Duration) -> anyhow::Result<String> {
    let response = partners::client()?.get(url).timeout(timeout).send().await;
    // The caller names the URL.
    let response = response.map_err(reqwest::Error::without_url)?;
    let status = response.status();
    let body = response.bytes().await.map_err(reqwest::Error::without_url)?;
    // An ingress answers with a page: its first line says enough.
    ensure!(status == 200, "{status}: {}", String::from_utf8_lossy(&body).lines().next().unwrap_or_default());
    summary(&body)
}

#[cfg(test)]
mod tests {
    use super::summary;

    #[test]
    fn an_array_is_neither_a_page_nor_a_product() {
        let product = r#"{"id":1,"name":"Ball","category":"sports","price":1.5}"#;
        let page = |product| format!(r#"{{"data":[{product}],"count":1,"nextCursor":null,"hasMore":false}}"#);
        assert_eq!(summary(page(product).as_bytes()).unwrap(), "1 products, the first is 1: Ball");
        for body in [page(r#"[1,"Ball","sports",1.5]"#), format!("[[{product}],1,null,false]")] {
            assert!(summary(body.as_bytes()).unwrap_err().to_string().contains("no list"), "{body}");
        }
    }
}
