//! `farmlokal-api check`: asks a running API for a list and reads it as a client would. It is what `helm test` runs: the
//! images have no shell and no curl.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::config::CheckArgs;
use crate::partners;

/// Asks for the list and says in one line what it holds; a list without products is one too.
///
/// # Errors
/// No answer in time, a status other than 200, or a body that is no list of products.
pub async fn run(args: &CheckArgs) -> anyhow::Result<String> {
    fetch(&args.url, args.timeout).await.with_context(|| format!("GET {}", args.url))
}

/// Reads a page as clients rely on it.
fn summary(body: &[u8]) -> anyhow::Result<String> {
    let page: Value = serde_json::from_slice(body).context("no list of products")?;
    let products = page["data"].as_array().context("no list of products")?;
    let is_product = |product: &Value| {
        let has_texts = ["name", "category"].iter().all(|member| product[member].is_string());
        has_texts && product["id"].is_u64() && product["price"].is_number()
    };
    ensure!(products.iter().all(is_product), "no list of products");
    let count = products.len();
    ensure!(page["count"] == count, "count is {} for {count} products", page["count"]);
    let has_more = page["hasMore"].as_bool().context("no list of products")?;
    ensure!(has_more == page["nextCursor"].is_string(), "hasMore and nextCursor contradict each other");
    Ok(match products.first() {
        Some(first) => {
            let name = first["name"].as_str().unwrap_or_default();
            format!("{count} products, the first is {}: {name}", first["id"])
        }
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
