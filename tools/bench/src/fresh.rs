//! From a change that one API process has acknowledged until another one finds it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use chrono::{SecondsFormat, Utc};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::environment::Environment;
use crate::server::Server;
use crate::stats::Latencies;
use farmlokal_testing::http::Client;

const GIVE_UP: Duration = Duration::from_secs(10);
/// Changes a second.
const RATES: [u32; 2] = [20, 200];

/// A row for each rate, by two API processes with these `settings`. The products that it makes have ids above all others, and are gone afterwards.
pub(crate) async fn rows(environment: &Environment, settings: &[(&str, &str)]) -> Result<Vec<String>> {
    let database = environment.database(1).await?;
    let newest: Option<u64> = sqlx::query_scalar("SELECT MAX(id) FROM products").fetch_one(&database).await?;
    let newest = newest.unwrap_or(0);
    let unsigned: Vec<_> = settings.iter().copied().chain([("WEBHOOK_ALLOW_UNSIGNED", "true")]).collect();
    let (writer, reader) =
        (Server::api(environment, &unsigned).await?, Server::api(environment, settings).await?);
    let (mut rows, mut last) = (Vec::new(), newest);
    for rate in RATES {
        let seconds = u32::from(environment.rounds) * u32::try_from(environment.duration.as_secs())?;
        let (started, mut changes) = (Instant::now(), JoinSet::new());
        for nth in 0..rate * seconds {
            last += 1;
            let due = started + Duration::from_secs(1) * nth / rate;
            changes.spawn(change(last, due, writer.address, reader.address));
        }
        let (mut times, mut stale) = (Vec::new(), 0);
        while let Some(change) = changes.join_next().await {
            let (took, answers) = change??;
            times.push(took);
            stale += answers;
        }
        rows.push(format!("{rate}/s | {} | {stale}", times.into_iter().collect::<Latencies>().cells()));
    }
    let mut client = Client::new(writer.address);
    for id in newest + 1..=last {
        post(&mut client, "product.deleted", &json!({"id": id})).await?;
    }
    Ok(rows)
}

/// How long it took from the acknowledgement to an answer that has the product, [`GIVE_UP`] at the most, and how many answers had
/// not.
async fn change(id: u64, due: Instant, writer: SocketAddr, reader: SocketAddr) -> Result<(Duration, usize)> {
    sleep_until(due).await;
    let (mut writer, mut reader) = (Client::new(writer), Client::new(reader));
    let data =
        json!({"id": id, "name": format!("fresh{id}"), "description": "-", "category": "bench", "price": 1});
    post(&mut writer, "product.upserted", &data).await?;
    let (acknowledged, mut stale) = (Instant::now(), 0);
    loop {
        let answer = reader.get(&format!("/products?search=fresh{id}")).await?;
        let page = answer.json()?;
        if page["data"][0]["id"] == id {
            return Ok((acknowledged.elapsed(), stale));
        }
        if acknowledged.elapsed() > GIVE_UP {
            return Ok((GIVE_UP, stale));
        }
        // A refusal tells nothing that is old.
        stale += usize::from(answer.status == 200);
    }
}

/// Posts an event, again where it is refused.
pub(crate) async fn post(client: &mut Client, kind: &str, data: &Value) -> Result<()> {
    let now = Utc::now();
    let id = format!("bench-{kind}-{}-{}", data["id"], now.timestamp_micros());
    let at = now.to_rfc3339_opts(SecondsFormat::Millis, true);
    let event = json!({"eventId": id, "type": kind, "occurredAt": at, "data": data});
    let started = Instant::now();
    loop {
        let status = client.post("/webhook", &event).await?.status;
        if status == 200 {
            return Ok(());
        }
        // As a sender does.
        ensure!(status == 503 && started.elapsed() < 3 * GIVE_UP, "an event is answered with {status}");
        sleep(Duration::from_millis(100)).await;
    }
}
