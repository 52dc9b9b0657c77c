//! Writes beside hot lists, one at a time and in batches, on a database that keeps what it has acknowledged.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use farmlokal_testing::http::Client;
use serde_json::{Value, json};
use sqlx::MySqlPool;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::environment::Environment;
use crate::fresh;
use crate::load::{Outcome, per_second};
use crate::queries::Queries;
use crate::report::Report;
use crate::server::Server;
use crate::stats::median;
use crate::visible;
use crate::writer::{CATEGORY, Cycle, Issuer, LISTS, Writer, lists, made};

/// Events a second, where there are some.
const EVENTS: u32 = 200;
/// Connections of the API for writes, unless it is told otherwise: so many clients write to the database alone.
const DATABASE_CLIENTS: usize = 2;
/// Products that events change in turn.
const OWN: usize = 64;

/// What is done beside the lists.
#[derive(Clone, Copy)]
enum Load {
    Nothing,
    /// So many clients, each write of so many products.
    Writes(usize, usize),
    /// So many clients of one product each, and events.
    WritesAndEvents(usize),
    Upserts,
}

const LOADS: [Load; 7] = [
    Load::Nothing,
    Load::Writes(16, 1),
    Load::Writes(32, 1),
    Load::WritesAndEvents(16),
    Load::Writes(4, 100),
    Load::Writes(4, 1_000),
    Load::Upserts,
];

impl Load {
    fn name(self) -> String {
        match self {
            Load::Nothing => "nothing".to_owned(),
            Load::Writes(clients, 1) => format!("writes, {clients} clients"),
            Load::Writes(clients, size) => format!("batches of {size}, {clients} clients"),
            Load::WritesAndEvents(clients) => format!("writes, {clients} clients, and {EVENTS} events/s"),
            Load::Upserts => format!("upserts by the database alone, {DATABASE_CLIENTS} clients"),
        }
    }

    /// Products of each write.
    fn size(self) -> usize {
        if let Load::Writes(_, size) = self { size } else { 1 }
    }
}

/// What came of the rounds of a load: of writes and of lists.
#[derive(Default)]
struct Measured {
    rates: Vec<f64>,
    writes: Outcome,
    lists: Outcome,
}

pub(crate) async fn bench(environment: &Environment) -> Result<()> {
    let database = environment.database(u32::try_from(DATABASE_CLIENTS)? + 1).await?;
    let settings = make_durable(&database).await?;
    let issuer = Issuer::start().await?;
    let [named, audience] = issuer.settings();
    let api = Server::api(environment, &[named, audience, ("WEBHOOK_ALLOW_UNSIGNED", "true")]).await?;
    let bench = Bench { api: api.address, writer: issuer.writer(&api).await?, database, environment };
    bench.clean_up().await?;

    let mut measured = LOADS.map(|load| (load, Measured::default()));
    for round in 1..=environment.rounds {
        eprintln!("round {round}");
        for (load, measured) in &mut measured {
            let (lists, writes) =
                tokio::try_join!(lists(api.address, environment.duration), bench.run(*load))?;
            eprintln!("{}: {:.0}/s", load.name(), writes.rate());
            measured.rates.push(writes.rate());
            measured.writes.add(writes);
            measured.lists.add(lists);
            bench.clean_up().await?;
        }
    }
    let mut report = Report::new(environment, "bench writes", "Writes beside hot lists");
    report.say(&format!(
        "{} products, {settings}. Clients create, put, patch with `If-Match` and delete products, the next when the last is \
         answered, while {LISTS} hot lists a second arrive at the same process. Upserts: one product a transaction, by `INSERT ... \
         ON DUPLICATE KEY UPDATE`. {} rounds of {} s.",
        environment.rows,
        environment.rounds,
        environment.duration.as_secs()
    ));
    let head = "beside lists | writes/s | products/s | p50 ms | p99 ms | refused | lists/s | p50 ms | p99 ms";
    report.table(head, measured.map(|(load, measured)| measured.row(load)));

    let reader = Server::api(environment, &[]).await?;
    let rows = visible::rows(environment, &bench.writer, reader.address).await?;
    report.say(&format!(
        "From the answer to a `PATCH` until another process shows it, asked again and again for 10 s at the most. It had list and item \
         in its cache, and answers {LISTS} hot lists a second meanwhile."
    ));
    report.table("changes, seen in | p50 ms | p99 ms | first answer stale", rows);
    bench.clean_up().await?;
    report.finish()
}

/// What the measurements work with.
struct Bench<'e> {
    environment: &'e Environment,
    database: MySqlPool,
    api: SocketAddr,
    writer: Writer,
}

impl Bench<'_> {
    async fn run(&self, load: Load) -> Result<Outcome> {
        match load {
            Load::Nothing => Ok(Outcome::default()),
            Load::Writes(clients, size) => self.write(clients, size).await,
            Load::WritesAndEvents(clients) => {
                let (writes, ()) = tokio::try_join!(self.write(clients, 1), self.send_events())?;
                Ok(writes)
            }
            Load::Upserts => self.upsert().await,
        }
    }

    async fn write(&self, clients: usize, size: usize) -> Result<Outcome> {
        let mut queries = Queries::new(&self.database).await?;
        let (started, mut writers) = (Instant::now(), JoinSet::new());
        for _ in 0..clients {
            let drafts = (0..size).map(|_| queries.position()).collect::<Result<Vec<_>>>()?;
            let cycle = Cycle::new(drafts.iter().map(draft).collect());
            writers.spawn(write(self.writer.clone(), cycle, started + self.environment.duration));
        }
        joined(writers, started).await
    }

    /// Events of products of the bench's own, on time whether or not those before are answered.
    async fn send_events(&self) -> Result<()> {
        let ids = made(&self.writer, OWN).await?;
        let (started, mut events) = (Instant::now(), JoinSet::new());
        let count = EVENTS * u32::try_from(self.environment.duration.as_secs())?;
        for nth in 0..count {
            let mut client = Client::new(self.api);
            let data = json!({
                "id": ids[nth as usize % OWN], "name": "An event's", "description": "-", "category": CATEGORY, "price": 1
            });
            events.spawn(async move {
                sleep_until(started + Duration::from_secs(1) * nth / EVENTS).await;
                fresh::post(&mut client, "product.upserted", &data).await
            });
        }
        while let Some(event) = events.join_next().await {
            event??;
        }
        Ok(())
    }

    /// As a lower layer than the API could do it at best: one statement and its commit for each product.
    async fn upsert(&self) -> Result<Outcome> {
        let ids = made(&self.writer, DATABASE_CLIENTS).await?;
        let (started, mut writers) = (Instant::now(), JoinSet::new());
        for id in ids {
            let (database, end) = (self.database.clone(), started + self.environment.duration);
            writers.spawn(async move {
                let mut outcome = Outcome::default();
                while Instant::now() < end {
                    let sent = Instant::now();
                    sqlx::query(
                        "INSERT INTO products (id, name, description, category, price) VALUES (?, 'Upserted', '-', ?, ?) \
                         ON DUPLICATE KEY UPDATE price = VALUES(price)",
                    )
                    .bind(id)
                    .bind(CATEGORY)
                    .bind(u64::try_from(outcome.served.len())?)
                    .execute(&database)
                    .await?;
                    outcome.served.push(sent.elapsed());
                }
                Ok(outcome)
            });
        }
        joined(writers, started).await
    }

    /// Removes the bench's own products.
    async fn clean_up(&self) -> Result<()> {
        let like = format!("{CATEGORY}%");
        let ids = sqlx::query_scalar("SELECT id FROM products WHERE category LIKE ?").bind(like);
        let ids: Vec<u64> = ids.fetch_all(&self.database).await?;
        for ids in ids.chunks(1_000) {
            let operations = ids.iter().map(|id| json!({"action": "delete", "id": id})).collect();
            self.writer.clone().batch(operations).await?;
        }
        Ok(())
    }
}

async fn write(mut writer: Writer, mut cycle: Cycle, end: Instant) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    while Instant::now() < end {
        let sent = Instant::now();
        let answer = cycle.send(&mut writer).await?;
        match answer.status.as_u16() {
            200 | 201 | 204 => {
                outcome.served.push(sent.elapsed());
                cycle.learn(&answer)?;
            }
            503 => outcome.refused.push(sent.elapsed()),
            status => bail!("a write is answered with {status}: {}", answer.text()),
        }
    }
    Ok(outcome)
}

async fn joined(mut writers: JoinSet<Result<Outcome>>, started: Instant) -> Result<Outcome> {
    let mut all = Outcome::default();
    while let Some(outcome) = writers.join_next().await {
        all.add(outcome??);
    }
    all.elapsed = started.elapsed();
    Ok(all)
}

fn draft(product: &farmlokal_catalog::Product) -> Value {
    json!({
        "name": product.name, "description": product.description, "category": CATEGORY, "price": product.price.cents() / 100
    })
}

impl Measured {
    #[expect(clippy::cast_precision_loss, reason = "a few products")]
    fn row(self, load: Load) -> String {
        let of_lists = format!(
            "{:.0} | {}",
            per_second(self.lists.served.len(), self.lists.elapsed),
            self.lists.times()
        );
        if let Load::Nothing = load {
            return format!("{} | - | - | - | - | - | {of_lists}", load.name());
        }
        let rate = median(self.rates);
        format!(
            "{} | {rate:.0} | {:.0} | {} | {} | {of_lists}",
            load.name(),
            rate * load.size() as f64,
            self.writes.times(),
            self.writes.refused.len()
        )
    }
}

/// Makes the server flush its log at each commit, as is its default, and says how it is set.
async fn make_durable(database: &MySqlPool) -> Result<String> {
    let set = sqlx::raw_sql("SET GLOBAL innodb_flush_log_at_trx_commit = 1").execute(database).await;
    set.context("the database may not be set to flush its log at each commit")?;
    let settings = "SELECT VERSION(), CAST(@@innodb_flush_log_at_trx_commit AS SIGNED), \
                    CAST(@@log_bin AS SIGNED), CAST(@@sync_binlog AS SIGNED)";
    let (version, flush, log, sync): (String, i64, i64, i64) =
        sqlx::query_as(settings).fetch_one(database).await?;
    let log = if log == 0 { "no binary log".to_owned() } else { format!("sync_binlog {sync}") };
    Ok(format!("{version} with innodb_flush_log_at_trx_commit {flush} and {log}"))
}
