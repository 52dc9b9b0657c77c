//! Products are created, changed and deleted with a token of the sandbox, and every replica shows it at once.

use anyhow::{Context as _, Result, ensure};
use farmlokal_testing::http::{Answer, Client, Target};
use serde_json::{Value, json};

use crate::kubectl::{self, Pod, RELEASE};
use crate::report::say;
use crate::suite::Suite;
use crate::{PATIENCE, cluster, wait};

/// A word that no other product has.
const WORD: &str = "endtoendish";

pub(super) async fn run(suite: &Suite<'_>) -> Result<()> {
    let (service, pods) = (cluster::service().await?, suite.api_pods().await?);
    let product = json!({"name": format!("Cheese {WORD}"), "description": "", "category": "dairy", "price": 12.5});
    let refused = write(&service, "POST", "/products", &[], &product).await?;
    ensure!(refused.status == 401, "without a token: {refused:?}");

    let bearer = format!("Bearer {}", token().await?);
    let token = ("authorization", &*bearer);
    // The pods may not have the sandbox's keys yet.
    let key = format!("\"e2e-{}\"", std::process::id());
    let created = wait::until("a product created", PATIENCE, async || {
        let answer = write(&service, "POST", "/products", &[token, ("idempotency-key", &key)], &product).await?;
        Ok((answer.status != 503).then_some(answer))
    })
    .await?;
    ensure!(created.status == 201, "{created:?}");
    let path = created.header("location").to_owned();
    let again = write(&service, "POST", "/products", &[token, ("idempotency-key", &key)], &product).await?;
    ensure!(again.status == 201 && again.header("location") == path, "sent again: {again:?}");
    for pod in &pods {
        let (seen, found) = (read(pod, &path).await?, found(pod).await?);
        ensure!(seen.body == created.body, "{} shows {}", pod.name, seen.text());
        ensure!(found == 1, "{} finds {found}", pod.name);
    }
    say!("{path} was created once, and {} replicas show and find it", pods.len());

    let (first, last) = (cluster::pod(&pods[0], 5000), cluster::pod(&pods[pods.len() - 1], 5000));
    let old = ("if-match", created.header("etag"));
    let patched = write(&first, "PATCH", &path, &[token, old], &json!({"price": 9.75})).await?;
    ensure!(patched.status == 200, "{patched:?}");
    for pod in &pods {
        let seen = read(pod, &path).await?;
        ensure!(seen.body == patched.body, "{} shows {}", pod.name, seen.text());
    }
    let late = write(&last, "PATCH", &path, &[token, old], &json!({"price": 1})).await?;
    ensure!(late.status == 412, "by an ETag from before: {late:?}");
    say!("changed through one replica, and no other shows or changes what it was");

    let deleted = write(&last, "DELETE", &path, &[token], &Value::Null).await?;
    ensure!(deleted.status == 204, "{deleted:?}");
    for pod in &pods {
        let (seen, found) = (read(pod, &path).await?, found(pod).await?);
        ensure!(seen.status == 404 && found == 0, "{} shows {}, finds {found}", pod.name, seen.text());
    }
    say!("deleted, and no replica shows or finds it");
    Ok(())
}

/// What the sandbox gives a client that may write.
async fn token() -> Result<String> {
    let service = format!("service/{RELEASE}-sandbox");
    let address = kubectl::field(&service, ".spec.clusterIP").await?;
    let sandbox = Target { address: format!("{address}:5100"), host: "sandbox".to_owned() };
    let request = json!({
        "grant_type": "client_credentials", "client_id": "farmlokal", "client_secret": "sandbox-secret",
        "audience": "https://api.farmlokal.example", "scope": "products:write",
    });
    let answer = Client::new(sandbox).post("/oauth/token", &request).await?;
    let token = answer.json()?["access_token"].as_str().map(str::to_owned);
    token.with_context(|| format!("no token: {answer:?}"))
}

async fn write(
    target: &Target,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &Value,
) -> Result<Answer> {
    Client::new(target.clone()).send_json(method.parse()?, path, headers, body).await
}

async fn read(pod: &Pod, path: &str) -> Result<Answer> {
    Client::new(cluster::pod(pod, 5000)).get(path).await
}

/// How many products a search of this replica finds.
async fn found(pod: &Pod) -> Result<u64> {
    wait::until("a search answered", PATIENCE, async || {
        let answer = read(pod, &format!("/products?search={WORD}&total=true")).await?;
        let total = answer.json()?["total"].as_u64();
        ensure!(answer.status == 503 || total.is_some(), "{answer:?}");
        Ok(total)
    })
    .await
}
