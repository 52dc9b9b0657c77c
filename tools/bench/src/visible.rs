//! From a write that one API process has acknowledged until another one shows it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use axum::http::Method;
use rand::RngExt as _;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::environment::Environment;
use crate::stats::Latencies;
use crate::writer::{CATEGORY, Writer, lists, made};
use farmlokal_testing::http::Client;

const GIVE_UP: Duration = Duration::from_secs(10);
/// Changes a second.
const RATES: [u32; 2] = [20, 200];
/// Products that change in turn, each alone in its category.
const PRODUCTS: u32 = 64;
const VIEWS: [&str; 3] = ["list", "item", "search"];

/// How long it took, and whether the first answer was from before.
type Seen = (Duration, bool);

/// A row for each rate and view.
pub(crate) async fn rows(
    environment: &Environment,
    writer: &Writer,
    reader: SocketAddr,
) -> Result<Vec<String>> {
    let ids = made(writer, PRODUCTS as usize).await?;
    let mut rows = Vec::new();
    for rate in RATES {
        let duration = environment.duration * environment.rounds.into();
        let (started, mut products) = (Instant::now(), JoinSet::new());
        for (nth, id) in (0..PRODUCTS).zip(ids.iter().copied()) {
            let pace =
                Pace { first: started + Duration::from_secs(1) * nth / rate, rate, end: started + duration };
            products.spawn(changes(id, nth, pace, writer.clone(), reader));
        }
        let changing = async {
            let mut seen: [Vec<Seen>; 3] = Default::default();
            while let Some(product) = products.join_next().await {
                for (all, more) in seen.iter_mut().zip(product??) {
                    all.extend(more);
                }
            }
            Ok(seen)
        };
        let (seen, _) = tokio::try_join!(changing, lists(reader, duration))?;
        for (view, seen) in VIEWS.into_iter().zip(seen) {
            let stale = seen.iter().filter(|(_, is_stale)| *is_stale).count();
            let count = seen.len();
            let times: Latencies = seen.into_iter().map(|(took, _)| took).collect();
            rows.push(format!("{rate}/s, {view} | {} | {stale} of {count}", times.cells()));
        }
    }
    Ok(rows)
}

/// When a product changes: all in turn make the rate.
struct Pace {
    first: Instant,
    rate: u32,
    end: Instant,
}

/// Changes a product again and again, and waits each time until it is seen.
async fn changes(
    id: u64,
    nth: u32,
    pace: Pace,
    mut writer: Writer,
    reader: SocketAddr,
) -> Result<[Vec<Seen>; 3]> {
    let (mut seen, mut due): ([Vec<Seen>; 3], _) = (Default::default(), pace.first);
    let mut clients = VIEWS.map(|_| Client::new(reader));
    while due < pace.end {
        sleep_until(due).await;
        due += Duration::from_secs(1) * PRODUCTS / pace.rate;
        let name: String = (0..12).map(|_| rand::rng().random_range('a'..='z')).collect();
        let paths = [
            format!("/products?category={CATEGORY}-{nth}&limit=5"),
            format!("/products/{id}"),
            format!("/products?search={name}&limit=5"),
        ];
        // What was asked before is in the cache: all but the search, which never comes twice.
        for (client, path) in clients.iter_mut().zip(&paths[..2]) {
            client.get(path).await?;
        }
        let path = format!("/products/{id}");
        let answer = writer.send(Method::PATCH, &path, None, &json!({"name": name})).await?;
        ensure!(answer.status == 200, "a write is answered with {}: {}", answer.status, answer.text());
        let acknowledged = Instant::now();
        let [list, item, search] = &mut clients;
        let shown = tokio::try_join!(
            until(list, &paths[0], &name, acknowledged),
            until(item, &paths[1], &name, acknowledged),
            until(search, &paths[2], &name, acknowledged)
        )?;
        for (all, shown) in seen.iter_mut().zip(<[Seen; 3]>::from(shown)) {
            all.push(shown);
        }
    }
    Ok(seen)
}

/// Asks until the product has this name.
async fn until(client: &mut Client, path: &str, name: &str, acknowledged: Instant) -> Result<Seen> {
    let mut is_stale = false;
    loop {
        let answer = client.get(path).await?;
        let body: Value = answer.json()?;
        let product = if body["data"].is_array() { &body["data"][0] } else { &body };
        if product["name"] == name || acknowledged.elapsed() > GIVE_UP {
            return Ok((acknowledged.elapsed(), is_stale));
        }
        // A refusal tells nothing that is old.
        is_stale |= answer.status == 200;
    }
}
