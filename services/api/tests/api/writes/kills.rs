//! The process is killed while it writes.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::fixture::{Client, Writer, cheese};
use super::issuer::with;
use crate::harness::Answer;

const ROUNDS: u64 = 25;
const CREATES: u64 = 12;
/// Operations of the batch of each round.
const OPERATIONS: i64 = 40;

/// A write with a key, and how many products it makes of its name.
#[derive(Clone)]
struct Write {
    name: String,
    method: &'static str,
    path: String,
    body: Value,
    products: i64,
}

impl Write {
    /// What is sent in one round.
    fn of_round(round: u64) -> Vec<Write> {
        let product = |name: &str| with(cheese(), &json!({"name": name}));
        let name = |kind: &str, number: u64| format!("{kind} {round} {number}");
        let mut writes = Vec::new();
        for number in 0..CREATES {
            let name = name("created", number);
            let (body, path) = (product(&name), "/products".to_owned());
            writes.push(Write { name, method: "POST", path, body, products: 1 });
        }
        let name = name("batch", 0);
        // Half of them new, half of them over those of the last round.
        let operations = (0..OPERATIONS).map(|number| match number % 2 {
            0 => json!({"action": "create", "product": product(&name)}),
            _ => json!({"action": "put", "id": 1_000_000 + number, "product": product(&name)}),
        });
        let (body, path) =
            (json!({"operations": operations.collect::<Vec<_>>()}), "/products/batch".to_owned());
        writes.push(Write { name, method: "POST", path, body, products: OPERATIONS });
        writes
    }

    async fn send(&self, client: &Client) -> Option<Answer> {
        let headers = [("idempotency-key", self.name.as_str())];
        client.send(self.method, &self.path, &headers, &self.body.to_string()).await.ok()
    }
}

/// How many products have each name.
async fn names(writer: &Writer) -> HashMap<String, i64> {
    let count = "SELECT name, COUNT(*) FROM products GROUP BY name";
    let rows: Vec<(String, i64)> =
        sqlx::query_as(count).fetch_all(&writer.api.database.pool()).await.unwrap();
    rows.into_iter().collect()
}

/// SIGKILL at any moment: before the transaction, in it, after it, before and after the cache is told, before the answer.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_again_after_a_kill_has_taken_effect_once_and_batches_wholly() {
    let settings = [("SEARCH_READY_TIMEOUT", "0s"), ("DB_WRITE_CONNECTIONS", "4")];
    let mut writer = Writer::start_with(0, &settings).await;
    let (mut answered, mut unanswered, mut undone) = (0, 0, 0);
    for round in 0..ROUNDS {
        let (sent, client) = (Write::of_round(round), writer.client());
        let sends: Vec<_> = sent
            .iter()
            .map(|write| {
                let (write, client) = (write.clone(), client.clone());
                tokio::spawn(async move { write.send(&client).await })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(round * 17 % 90)).await;
        writer.api.process().signal("KILL");
        writer.api.process().ended().await;
        let there = names(&writer).await;
        for (write, send) in sent.iter().zip(sends) {
            let found = there.get(&write.name).copied().unwrap_or(0);
            assert!([0, write.products].contains(&found), "{found} of {}", write.name);
            match send.await.unwrap() {
                Some(answer) => {
                    assert!(answer.status < 300, "{answer:?}");
                    assert_eq!(found, write.products, "{} was acknowledged", write.name);
                    answered += 1;
                }
                None if found > 0 => unanswered += 1,
                None => undone += 1,
            }
        }
        writer.start_again(&settings).await;
        let client = writer.client();
        for write in &sent {
            client.send_until_done(write.method, &write.path, &write.name, &write.body.to_string()).await;
        }
        let there = names(&writer).await;
        for write in &sent {
            assert_eq!(there.get(&write.name), Some(&write.products), "{}", write.name);
        }
    }
    // Of the batches before the last, the created half is left.
    let there = names(&writer).await;
    for round in 0..ROUNDS {
        for write in Write::of_round(round) {
            let is_last = round + 1 == ROUNDS || write.products == 1;
            let expected = if is_last { write.products } else { write.products / 2 };
            assert_eq!(there.get(&write.name), Some(&expected), "{}", write.name);
        }
    }
    // It was killed at every moment.
    let moments = [answered, unanswered, undone];
    assert!(moments.iter().all(|count| *count > 0), "{moments:?}");
}
