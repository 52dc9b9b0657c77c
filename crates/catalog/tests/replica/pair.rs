//! A primary and its replica, and how they are driven.

use std::{
    sync::{LazyLock, OnceLock},
    time::{Duration, Instant},
};

use chrono::Utc;
use farmlokal_catalog::{
    Action, Batch, Catalog, CatalogConfig, Change, Draft, Event, ListQuery, Operation, Outcome, Price,
    Receipt, ReplicaState, Written, migrate,
};
use farmlokal_devstack::Database;
use farmlokal_testing::{catalog_config, query};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use sqlx::{Connection as _, MySqlConnection, mysql::MySqlConnectOptions};
use tokio::{
    sync::{Mutex, MutexGuard},
    task::{JoinSet, block_in_place},
    time::sleep,
};

/// Only a test that fails anyway waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// One pair at a time: the metrics are the process's.
static ALONE: LazyLock<Mutex<()>> = LazyLock::new(Mutex::default);

/// A primary, a replica that follows it, and a catalogue that reads from both.
pub(crate) struct Pair {
    pub(crate) primary: Database,
    pub(crate) replica: Database,
    pub(crate) reader: Reader,
    _alone: MutexGuard<'static, ()>,
}

impl Pair {
    pub(crate) async fn start() -> Pair {
        let alone = ALONE.lock().await;
        let (primary, replica) = block_in_place(|| {
            let primary = Database::start_primary().unwrap();
            let replica = primary.start_replica().unwrap();
            (primary, replica)
        });
        migrate(options(&primary)).await.unwrap();
        let reader = Reader::start(options(&primary), options(&replica));
        reader.until(ReplicaState::Up).await;
        Pair { primary, replica, reader, _alone: alone }
    }

    /// Stops the replica from applying what it receives.
    pub(crate) async fn stop(&self) {
        sql(&self.replica, "STOP REPLICA SQL_THREAD").await;
    }

    pub(crate) async fn go_on(&self) {
        sql(&self.replica, "START REPLICA SQL_THREAD").await;
    }
}

/// A catalogue that watches its replica.
pub(crate) struct Reader {
    pub(crate) catalog: Catalog,
    _watching: JoinSet<()>,
}

impl Reader {
    /// With the default settings.
    pub(crate) fn start(primary: MySqlConnectOptions, replica: MySqlConnectOptions) -> Reader {
        Reader::start_with(&catalog_config(), primary, replica)
    }

    pub(crate) fn start_with(
        config: &CatalogConfig,
        primary: MySqlConnectOptions,
        replica: MySqlConnectOptions,
    ) -> Reader {
        metrics();
        let mut watching = JoinSet::new();
        let catalog = Catalog::new(primary, config).unwrap();
        let catalog = catalog.with_replica(replica, config, &mut watching).unwrap();
        Reader { catalog, _watching: watching }
    }

    pub(crate) fn state(&self) -> Option<ReplicaState> {
        self.catalog.replica()
    }

    pub(crate) async fn until(&self, wanted: ReplicaState) {
        let deadline = Instant::now() + PATIENCE;
        while self.state() != Some(wanted) {
            assert!(Instant::now() < deadline, "never {wanted:?}, but {:?}", self.catalog.replica());
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// A change of a product, by an event or by a write, and after it all kinds of reads, each of which must see it.
    pub(crate) async fn change_and_read(&self, product: u64, number: u64) -> u64 {
        let category = format!("{product} {number}");
        let price = Price::from_cents(number).unwrap();
        self.change(product, number).await;
        let read = self.catalog.product(product).await.unwrap().unwrap();
        assert_eq!((read.price, &read.category), (price, &category));
        let page = self.catalog.list(&query(&[("category", &category), ("sort", "price")])).await.unwrap();
        assert_eq!(page.products, std::slice::from_ref(&read));
        let (found, _) = self.catalog.products_at(&[product]).await.unwrap();
        assert_eq!(found, [read]);
        assert!(self.catalog.categories().await.unwrap().contains(&category));
        4
    }

    /// By an event or by a write.
    pub(crate) async fn change(&self, product: u64, number: u64) {
        let (category, price) = (format!("{product} {number}"), Price::from_cents(number).unwrap());
        let id = format!("event {category}");
        let draft = Draft { name: format!("Ball {category}"), description: String::new(), category, price };
        if number.is_multiple_of(2) {
            let change = Change::Upsert(draft);
            let event = Event { id, product, occurred_at: Utc::now(), change, payload_hash: [7; 32] };
            let receipt = self.catalog.apply(&event).await.unwrap();
            assert!(matches!(receipt, Receipt::New(Outcome::Applied)), "{receipt:?}");
        } else {
            let operation = Operation { action: Action::Put(product, draft), precondition: None };
            let batch = Batch { operations: vec![operation], idempotency: None };
            let written = self.catalog.write(&batch).await.unwrap();
            assert!(matches!(written, Written::New(_)), "{written:?}");
        }
    }

    /// A list and an item, of a catalogue that nobody changes.
    pub(crate) async fn read(&self) {
        assert!(!self.catalog.list(&ListQuery::default()).await.unwrap().products.is_empty());
        assert!(self.catalog.product(1).await.unwrap().is_some());
    }
}

pub(crate) fn options(database: &Database) -> MySqlConnectOptions {
    database.url().parse().unwrap()
}

/// Runs statements on a server.
pub(crate) async fn sql(database: &Database, statements: &str) {
    let mut connection = MySqlConnection::connect_with(&options(database)).await.unwrap();
    let statements = sqlx::AssertSqlSafe(statements.to_owned());
    sqlx::raw_sql(statements).execute(&mut connection).await.unwrap();
}

fn metrics() -> &'static PrometheusHandle {
    static METRICS: OnceLock<PrometheusHandle> = OnceLock::new();
    METRICS.get_or_init(|| PrometheusBuilder::new().install_recorder().unwrap())
}

/// Reads that went there so far, for any of these reasons.
pub(crate) fn reads(from: &str, reasons: &[&str]) -> u64 {
    let page = metrics().render();
    let series = page.lines().filter_map(|line| line.strip_prefix("farmlokal_db_reads_total"));
    let of = |series: &&str| {
        series.contains(&format!("from=\"{from}\""))
            && (reasons.is_empty()
                || reasons.iter().any(|reason| series.contains(&format!("reason=\"{reason}\""))))
    };
    series.filter(of).map(|series| series.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

/// Statements of this kind that were run so far, but for pings.
pub(crate) fn statements(kind: &str) -> u64 {
    let series = format!("farmlokal_db_query_duration_seconds_count{{statement=\"{kind}\"}} ");
    let page = metrics().render();
    page.lines().find_map(|line| line.strip_prefix(&series)).map_or(0, |count| count.parse().unwrap())
}

/// By how many changes the replica was behind when it was looked at last; not a number where that is not known.
pub(crate) fn lag() -> f64 {
    let page = metrics().render();
    let line = page.lines().find_map(|line| line.strip_prefix("farmlokal_db_replica_lag "));
    line.unwrap().parse().unwrap()
}
