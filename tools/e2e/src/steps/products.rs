//! Products through the Service and through the Ingress: the same, complete, and refusals that say what is wrong.

use std::collections::HashSet;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use farmlokal_testing::http::{Answer, Client, Target};
use crate::{PATIENCE, wait};
use crate::report::{self, say};
use crate::cluster;
use crate::suite::{ROWS, Suite};

const PATHS: [&str; 6] = [
    "/products?limit=20",
    "/products?sort=price&order=DESC&limit=5",
    "/products?category=fruit",
    "/products?search=apple&total=true&facets=category,price",
    "/products/4711",
    "/categories",
];

pub(super) async fn run(_: &Suite<'_>) -> Result<()> {
    let (service, ingress) = (cluster::service().await?, cluster::ingress().await?);
    let (mut direct, mut routed) = (Client::new(service.clone()), Client::new(ingress.clone()));
    for path in PATHS {
        let (one, other) = (answer(&mut direct, path).await?, answer(&mut routed, path).await?);
        ensure!(one.status == 200 && other.status == 200, "{path}: {} and {}", one.status, other.status);
        ensure!(one.body == other.body, "{path} differs between Service and Ingress");
        ensure!(one.header("etag") == other.header("etag"), "{path}: the ETags differ");
    }
    say!("{} routes answer alike through Service and Ingress", PATHS.len());

    let refused = routed.get("/products?limit=1000&sort=size").await?;
    let problem = refused.json()?;
    let is_problem = refused.header("content-type") == "application/problem+json";
    ensure!(refused.status == 400 && is_problem && problem["code"].is_string(), "{refused:?}");
    say!("a bad query is a 400 {} through the Ingress", problem["code"]);

    let started = Instant::now();
    let (by_service, by_ingress) = (walk(service).await?, walk(ingress).await?);
    ensure!(by_service == by_ingress, "Service and Ingress give the products in another order");
    report::done("two walks by price gave each product once, in the same order,", started);
    Ok(())
}

/// The answer once there is one: each pod's search index is built anew after the seeding.
async fn answer(client: &mut Client, path: &str) -> Result<Answer> {
    // Where a client names no coding, Traefik asks for gzip and decodes it; each coding has an ETag of its own.
    let plain = [("accept-encoding", "identity")];
    wait::until(path, PATIENCE, async || {
        let answer = client.get_with(path, &plain).await?;
        Ok((answer.status != 503).then_some(answer))
    })
    .await
}

/// Walks the whole catalogue by price; returns the ids as they came.
async fn walk(target: Target) -> Result<Vec<u64>> {
    let mut client = Client::new(target);
    let (mut seen, mut ids, mut cursor) = (HashSet::new(), Vec::new(), String::new());
    loop {
        let answer = client.get(&format!("/products?sort=price&limit=100{cursor}")).await?;
        ensure!(answer.status == 200, "after {} products: {}", ids.len(), answer.text());
        let page = answer.json()?;
        for product in page["data"].as_array().context("no data")? {
            let id = product["id"].as_u64().context("no id")?;
            ensure!(seen.insert(id), "product {id} came twice");
            ids.push(id);
        }
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    ensure!(ids.len() as u64 == ROWS, "{} of {ROWS} products", ids.len());
    Ok(ids)
}
