//! Rate limits follow the client that the ingress controller sees. What a client writes into X-Forwarded-For itself changes
//! nothing, and another client keeps its whole quota.

use anyhow::{Context as _, Result, ensure};

use crate::kubectl;
use farmlokal_testing::http::Client;
use crate::cluster::{self, INGRESS_HOST};
use crate::report::say;
use crate::suite::{API_PODS, Suite};

/// `RATE_LIMIT_SEARCH` in values.yaml.
const QUOTA: usize = 30;
const SEARCH: &str = "/products?search=apple";

pub(super) async fn run(_: &Suite<'_>) -> Result<()> {
    let ingress = cluster::ingress().await?;
    let before = left_for_another_client(&ingress.address).await?;
    ensure!(before + 3 >= QUOTA, "the other client starts with {before} of {QUOTA} searches");

    let mut client = Client::new(ingress.clone());
    let (mut admitted, mut refused) = (0, 0);
    for index in 0..2 * QUOTA {
        let forged = format!("203.0.113.{index}");
        let by = format!("for={forged}");
        let headers = [("x-forwarded-for", &*forged), ("x-real-ip", &*forged), ("forwarded", &*by)];
        let answer = client.get_with(SEARCH, &headers).await?;
        match answer.status.as_u16() {
            200 => admitted += 1,
            429 => refused += 1,
            status => anyhow::bail!("search {index}: {status}: {}", answer.text()),
        }
    }
    // Each replica may run one request ahead, and a few come back while this goes on.
    ensure!(admitted <= QUOTA + API_PODS + 5, "{admitted} searches of one client admitted, quota {QUOTA}");
    ensure!(refused > 0, "no search was refused");
    say!("of one client with forged addresses {admitted} searches admitted, {refused} refused (quota {QUOTA})");

    let after = left_for_another_client(&ingress.address).await?;
    ensure!(after + 5 >= QUOTA, "the other client is left with {after} of {QUOTA} searches");
    say!("another client, a pod, has {after} of its {QUOTA} searches left");
    Ok(())
}

/// Searches once from a pod; returns how many more it may.
async fn left_for_another_client(ingress: &str) -> Result<usize> {
    let url = format!("http://{ingress}{SEARCH}");
    let host = format!("Host: {INGRESS_HOST}");
    // BusyBox prints the header on standard error.
    let ask = r#"wget -S -q -O /dev/null --header "$0" "$1" 2>&1"#;
    let said = kubectl::exec("pod/e2e-client", &["sh", "-c", ask, &host, &url]).await?;
    let left = said.split_once(";r=").and_then(|(_, rest)| rest.split([';', '\n', ' ']).next());
    left.and_then(|left| left.trim().parse().ok()).with_context(|| format!("no RateLimit header in: {said}"))
}
