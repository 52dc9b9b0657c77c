//! Two replicas, partners who deliver everything to both of them, and faults: every event takes effect once.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use farmlokal_catalog::migrate;
use farmlokal_devstack::{Database, Redis};
use farmlokal_sandbox::{Change, Event, Plan, Report, Sandbox, State};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use sqlx::MySqlPool;
use tokio_util::task::AbortOnDropHandle;

use crate::harness::{Answer, PATIENCE, Process, client, fetch};

/// How long the last event may take to arrive, after all faults.
const ENOUGH: Duration = Duration::from_mins(3);

/// A replica that can be killed and comes back at the same address.
struct Replica {
    port: u16,
    settings: Vec<(&'static str, String)>,
    process: Option<Process>,
}

impl Replica {
    fn start(database: &Database, redis: &Redis, sandbox: &Sandbox) -> Replica {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let settings = vec![
            ("DATABASE_URL", database.url()),
            ("REDIS_URL", redis.url()),
            ("PORT", port.to_string()),
            ("WEBHOOK_SECRETS", sandbox.config().webhook_secret.expose_secret().to_owned()),
            ("WEBHOOK_CALLBACK_URL", format!("http://127.0.0.1:{port}/webhook")),
            ("API_B_URL", format!("{}/api-b", sandbox.url())),
            // What is not flushed stays stale for longer than this takes.
            ("CACHE_TTL", "10m".to_owned()),
            ("LOCAL_CACHE_TTL", "10m".to_owned()),
        ];
        let mut replica = Replica { port, settings, process: None };
        replica.start_again();
        replica
    }

    fn start_again(&mut self) {
        let settings: Vec<_> = self.settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.process = Some(Process::start(&settings));
    }

    /// SIGKILL; dropping a process is that.
    fn kill(&mut self) {
        self.process = None;
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    async fn until(&self, path: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
        let (client, deadline) = (client(), Instant::now() + PATIENCE);
        loop {
            let answer = fetch(&client, &self.url(path), &[]).await;
            match answer {
                Ok(answer) if wanted(&answer) => return answer,
                last => assert!(Instant::now() < deadline, "{path} never came to it: {last:?}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Records each event that becomes the newest of a product, in the transaction that makes it so: an effect that counts.
const AUDIT: [&str; 3] = [
    "CREATE TABLE audit (event_id VARCHAR(128) NOT NULL, register VARCHAR(8) NOT NULL)",
    "CREATE TRIGGER audit_content AFTER UPDATE ON product_versions FOR EACH ROW
     INSERT INTO audit SELECT NEW.content_event, 'content' FROM DUAL
     WHERE NOT (NEW.content_event <=> OLD.content_event)",
    "CREATE TRIGGER audit_price AFTER UPDATE ON product_versions FOR EACH ROW
     INSERT INTO audit SELECT NEW.price_event, 'price' FROM DUAL
     WHERE NOT (NEW.price_event <=> OLD.price_event)",
];

/// What the events make of the products, each doing what it says, in the order they occurred.
fn reference(events: &[Event]) -> BTreeMap<u64, Option<Value>> {
    let mut products: BTreeMap<u64, Option<Value>> = BTreeMap::new();
    for event in events {
        let product = products.entry(event.change.product()).or_default();
        match &event.change {
            Change::Upserted(new) => *product = Some(serde_json::to_value(new).unwrap()),
            Change::PriceChanged { price, .. } => {
                if let Some(product) = product {
                    product["price"] = (*price).into();
                }
            }
            Change::Deleted { .. } => *product = None,
        }
    }
    products
}

async fn assert_each_took_effect_once(pool: &MySqlPool, events: &[Event]) {
    let inbox: Vec<(String, String)> =
        sqlx::query_as("SELECT event_id, outcome FROM webhook_events ORDER BY event_id")
            .fetch_all(pool)
            .await
            .unwrap();
    let mut ids: Vec<_> = events.iter().map(|event| event.event_id.as_str()).collect();
    ids.sort_unstable();
    assert_eq!(inbox.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ids);
    let twice: Vec<(String, i64)> = sqlx::query_as(
        "SELECT event_id, COUNT(*) FROM audit GROUP BY event_id, register HAVING COUNT(*) > 1",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    assert_eq!(twice, []);
    let won: Vec<String> = sqlx::query_scalar("SELECT DISTINCT event_id FROM audit ORDER BY event_id")
        .fetch_all(pool)
        .await
        .unwrap();
    let effective = inbox.into_iter().filter(|(_, outcome)| outcome != "superseded").map(|(id, _)| id);
    assert_eq!(won, effective.collect::<Vec<_>>());
}

async fn assert_products(replica: &Replica, expected: &BTreeMap<u64, Option<Value>>) {
    for (id, expected) in expected {
        let path = format!("/products/{id}");
        let answer = replica.until(&path, |answer| answer.status != 503).await;
        let found = (answer.status == 200).then(|| {
            let product = answer.json();
            let members = ["id", "name", "description", "category", "price"];
            Value::Object(members.map(|name| (name.to_owned(), product[name].clone())).into_iter().collect())
        });
        assert_eq!(&found, expected, "{path}");
    }
}

/// Clients who read the products all the while, so that every cache is full of what an event makes old. They end with this
/// value.
struct Readers {
    hits: Arc<AtomicUsize>,
    _tasks: Vec<AbortOnDropHandle<()>>,
}

impl Readers {
    fn start(replicas: &[Replica], plan: &Plan) -> Readers {
        let hits = Arc::<AtomicUsize>::default();
        let tasks = replicas.iter().map(|replica| {
            let products = plan.first_product..plan.first_product + u64::from(plan.products);
            let urls: Vec<_> = products.map(|id| replica.url(&format!("/products/{id}"))).collect();
            let hits = Arc::clone(&hits);
            AbortOnDropHandle::new(tokio::spawn(async move {
                let client = client();
                for url in urls.iter().cycle() {
                    // Now and then there is nobody to ask.
                    if let Ok(answer) = fetch(&client, url, &[]).await
                        && answer
                            .headers
                            .get("cache-status")
                            .is_some_and(|status| status.to_str().unwrap().contains("hit"))
                    {
                        hits.fetch_add(1, Ordering::Relaxed);
                    }
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }))
        });
        Readers { _tasks: tasks.collect(), hits }
    }
}

/// Waits until so many deliveries in a hundred have been acknowledged.
async fn progress(sandbox: &Sandbox, percent: usize) {
    let deadline = Instant::now() + ENOUGH;
    loop {
        let report: Report = sandbox.report().unwrap();
        if report.state != State::Running || report.delivered * 100 >= report.deliveries * percent {
            return;
        }
        assert!(Instant::now() < deadline, "{report:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn flush_redis(redis: &Redis) {
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    redis::cmd("FLUSHALL").exec_async(&mut connection).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_takes_effect_once_whatever_is_killed() {
    let (mut database, mut redis) = (Database::start().unwrap(), Redis::start().unwrap());
    migrate(database.url().parse().unwrap()).await.unwrap();
    let pool = MySqlPool::connect_lazy(&database.url()).unwrap();
    for statement in AUDIT {
        sqlx::raw_sql(statement).execute(&pool).await.unwrap();
    }
    let sandbox = Sandbox::start().await.unwrap();
    let mut replicas = [(); 2].map(|()| Replica::start(&database, &redis, &sandbox));
    for replica in &replicas {
        replica.until("/readyz", |answer| answer.status == 200).await;
        replica.until("/metrics", |answer| answer.text().contains("farmlokal_webhook_registered 1")).await;
    }
    assert_eq!(sandbox.callbacks().len(), 2);

    let plan = Plan {
        count: 2_000,
        rate: 200,
        senders: 16,
        duplicates: 0.5,
        reorder: 40,
        products: 60,
        upserts: 4,
        price_changes: 4,
        deletes: 1,
        timeout_ms: 6_000,
        max_backoff_ms: 1_000,
        max_attempts: 10_000,
        ..Plan::default()
    };
    let readers = Readers::start(&replicas, &plan);
    sandbox.send(plan).unwrap();

    progress(&sandbox, 5).await;
    replicas[0].kill();
    progress(&sandbox, 10).await;
    replicas[0].start_again();
    progress(&sandbox, 20).await;
    flush_redis(&redis).await;
    progress(&sandbox, 30).await;
    database.kill9().unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    database.start_again().unwrap();
    progress(&sandbox, 45).await;
    // Without Redis no sender gets a 200.
    redis.stop().unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    redis.start_again().unwrap();
    progress(&sandbox, 50).await;
    progress(&sandbox, 60).await;
    // Everything at once.
    replicas.iter_mut().for_each(Replica::kill);
    redis.stop().unwrap();
    database.kill9().unwrap();
    database.start_again().unwrap();
    redis.start_again().unwrap();
    replicas.iter_mut().for_each(Replica::start_again);
    for percent in [70, 75, 80, 85] {
        progress(&sandbox, percent).await;
        let replica = &mut replicas[percent / 5 % 2];
        replica.kill();
        replica.start_again();
    }
    progress(&sandbox, 90).await;
    flush_redis(&redis).await;

    let report = tokio::time::timeout(ENOUGH, sandbox.sent()).await.unwrap().unwrap();
    assert_eq!((report.acknowledged, report.abandoned), (2_000, 0), "{report:?}");
    let events: Vec<_> = report.plan.events().collect();
    assert!(report.deliveries > 5_000, "{report:?}");
    // The faults were met.
    assert!(report.answers.contains_key("none") && report.answers.contains_key("503"), "{report:?}");
    assert_each_took_effect_once(&pool, &events).await;
    let expected = reference(&events);
    assert!(expected.values().any(Option::is_none) && expected.values().any(Option::is_some));
    for replica in &replicas {
        replica.until("/health", |answer| answer.json()["status"] == json!("ok")).await;
    }
    // A process hears of another's invalidation within 1.5 s.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    for replica in &replicas {
        assert_products(replica, &expected).await;
    }
    assert!(readers.hits.load(Ordering::Relaxed) > 500, "the caches were hardly used");
    drop(readers);
}
