//! An index in OpenSearch that processes share: fresh in each, whichever of them writes it, and clear about what goes wrong.

mod faults;

use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use farmlokal_catalog::{Catalog, CatalogConfig, Change, SearchText};
use farmlokal_search::{Search, SearchConfig, SearchError, SearchStatus};
use farmlokal_testing::{Mode, Proxy, TestDatabase, TestIndices, catalog_config, query};
use tokio::{task::JoinSet, time::sleep};

use crate::fixture::{PATIENT, apply, insert, price, settings, upsert};

const TICK: Duration = Duration::from_millis(20);

/// A process that searches in OpenSearch, and may write the index.
struct Process {
    search: Search,
    catalog: Catalog,
    tasks: JoinSet<()>,
}

impl Deref for Process {
    type Target = Search;

    fn deref(&self) -> &Search {
        &self.search
    }
}

impl Process {
    fn start(database: &TestDatabase, url: &str, wait: Duration) -> Process {
        Process::start_with(database, SearchConfig { wait, ..settings() }, url)
    }

    fn start_with(database: &TestDatabase, config: SearchConfig, url: &str) -> Process {
        let limits = CatalogConfig { write_deadline: PATIENT, ..catalog_config() };
        let catalog = Catalog::new(database.options.clone(), &limits).unwrap();
        let config = SearchConfig { url: Some(url.into()), poll: TICK, ..config };
        let search = Search::new(catalog.clone(), &config).unwrap();
        let mut tasks = JoinSet::new();
        search.spawn(&mut tasks);
        Process { search, catalog, tasks }
    }

    async fn ready(database: &TestDatabase, url: &str, wait: Duration) -> Process {
        let process = Process::start(database, url, wait);
        process.until(SearchStatus::Ready).await;
        process
    }

    async fn until(&self, wanted: SearchStatus) {
        while self.status() != wanted {
            sleep(Duration::from_millis(1)).await;
        }
    }

    async fn apply(&self, product: u64, change: Change) {
        apply(&self.catalog, product, change).await;
    }

    /// The products that have this word, and whether the answer may be stale.
    async fn ask(&self, word: &str) -> Result<(Vec<u64>, bool), SearchError> {
        let (page, found) = self.list(&query(&[("search", word), ("sort", "id"), ("total", "")])).await?;
        Ok((page.products.iter().map(|product| product.id).collect(), found.is_stale))
    }

    /// The same of an answer that is fresh.
    async fn fresh(&self, word: &str) -> Vec<u64> {
        let (ids, is_stale) = self.ask(word).await.unwrap();
        assert!(!is_stale, "{word}");
        ids
    }

    async fn until_fresh(&self, word: &str) -> Vec<u64> {
        loop {
            if let Ok((ids, false)) = self.ask(word).await {
                return ids;
            }
            sleep(TICK).await;
        }
    }
}

/// The connection that has the right to write.
async fn writer(database: &TestDatabase) -> Option<u64> {
    let lock =
        "SELECT CAST(IS_USED_LOCK(CONCAT('farmlokal-search-', LEFT(SHA2(DATABASE(), 256), 40))) AS UNSIGNED)";
    sqlx::query_scalar(lock).fetch_one(&database.pool()).await.unwrap()
}

async fn until_written(database: &TestDatabase) -> u64 {
    loop {
        if let Some(connection) = writer(database).await {
            return connection;
        }
        sleep(TICK).await;
    }
}

async fn kill_writer(database: &TestDatabase) {
    let kill = format!("KILL {}", until_written(database).await);
    sqlx::raw_sql(sqlx::AssertSqlSafe(kill)).execute(&database.pool()).await.unwrap();
}

/// The name that the database has.
async fn noted(database: &TestDatabase) -> Option<String> {
    sqlx::query_scalar("SELECT name FROM search_index").fetch_optional(&database.pool()).await.unwrap()
}

async fn until_indices(indices: &TestIndices, count: usize) {
    while indices.names().await.len() != count {
        sleep(TICK).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_found_in_every_process_as_soon_as_it_is_acknowledged() {
    let Some(indices) = TestIndices::create() else { return };
    let database = TestDatabase::create().await;
    insert(&database, (1..=30).map(|id| (id, format!("Pear {id}"), id))).await;
    let mut processes = Vec::new();
    for _ in 0..3 {
        processes.push(Process::ready(&database, &indices.url(), PATIENT).await);
    }
    assert_eq!((indices.names().await.len(), processes[2].documents()), (1, Some(30)));
    let text = SearchText::new("appl").unwrap();
    for nth in 0..12_usize {
        let product = 100 + nth as u64 / 4;
        let writer = &processes[nth % 3];
        let (change, expected) = match nth % 4 {
            0 => (upsert("Apple", 7), vec![product]),
            1 => (Change::PriceChange(price(9)), vec![product]),
            2 => (upsert("Quince", 9), vec![]),
            _ => (Change::Delete, vec![]),
        };
        writer.apply(product, change).await;
        for process in &processes {
            assert_eq!(process.fresh("apple").await, expected, "{nth}");
            let (suggestions, is_stale) = process.suggest(&text, 5).await.unwrap();
            assert_eq!((suggestions.len(), is_stale), (expected.len(), false), "{nth}");
        }
    }
    // A page's rows are as they are now.
    let walk = query(&[("search", "pear"), ("sort", "name"), ("limit", "20")]);
    let (first, _) = processes[0].list(&walk).await.unwrap();
    let next = walk.at(&first.next_cursor.unwrap()).unwrap();
    let (second, _) = processes[1].list(&next).await.unwrap();
    let mut ids: Vec<u64> = first.products.iter().chain(&second.products).map(|product| product.id).collect();
    ids.sort_unstable();
    assert_eq!(ids, (1..=30).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_process_writes_where_one_ends_or_loses_its_connection() {
    let Some(indices) = TestIndices::create() else { return };
    let database = TestDatabase::create().await;
    let mut first = Process::ready(&database, &indices.url(), PATIENT).await;
    let second = Process::ready(&database, &indices.url(), PATIENT).await;
    let index = noted(&database).await;
    // That is for the other to do.
    second.rebuild();
    for nth in 1..4 {
        kill_writer(&database).await;
        second.apply(nth, upsert("apple", 5)).await;
        assert_eq!(second.fresh("apple").await.len() as u64, nth);
    }
    first.tasks.shutdown().await;
    second.apply(9, upsert("apple", 5)).await;
    assert_eq!(second.fresh("apple").await.len(), 4);
    // It has gone on with the same index.
    assert_eq!(noted(&database).await, index);
}

/// One does not know yet that it writes no more, and its write comes after that of the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_comes_late_changes_nothing_that_is_newer() {
    let Some(indices) = TestIndices::create() else { return };
    let database = TestDatabase::create().await;
    insert(&database, [(2, "cherry".to_owned(), 5)]).await;
    let proxy = Proxy::start(&indices).await;
    let slow = Process::ready(&database, &indices.url_by(&proxy), PATIENT).await;
    let before = until_written(&database).await;
    proxy.set(Mode::Hold("_bulk"));
    slow.apply(1, upsert("apple", 5)).await;
    slow.apply(2, upsert("mango", 5)).await;
    sleep(10 * TICK).await;
    kill_writer(&database).await;
    let other = Process::start(&database, &indices.url(), PATIENT);
    while writer(&database).await.is_none_or(|connection| connection == before) {
        sleep(TICK).await;
    }
    other.apply(1, upsert("quince", 5)).await;
    other.apply(2, Change::Delete).await;
    assert_eq!(other.until_fresh("quince").await, [1]);
    proxy.set(Mode::Pass);
    while proxy.released() == 0 {
        sleep(TICK).await;
    }
    // The server has it, and takes some milliseconds.
    sleep(20 * TICK).await;
    for word in ["apple", "mango", "cherry"] {
        assert_eq!(other.fresh(word).await, [0; 0], "{word}");
    }
    other.apply(3, upsert("plum", 5)).await;
    assert_eq!((slow.fresh("quince").await, slow.fresh("plum").await), (vec![1], vec![3]));
    // Nothing has come back.
    while (other.documents(), slow.documents()) != (Some(2), Some(2)) {
        sleep(TICK).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_ends_beside_changes_and_holds_no_search_up() {
    let Some(indices) = TestIndices::create() else { return };
    let database = TestDatabase::create().await;
    insert(&database, (1..=500).map(|id| (id, "pear".to_owned(), id))).await;
    let process = Arc::new(Process::ready(&database, &indices.url(), PATIENT).await);
    let stop = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (process, stop) = (Arc::clone(&process), Arc::clone(&stop));
        async move {
            for nth in 0_u64.. {
                let change = if nth % 3 == 2 { Change::Delete } else { upsert("pear", nth) };
                process.apply(1 + nth / 3 * 7 % 600, change).await;
                if stop.load(Ordering::Relaxed) {
                    break;
                }
            }
        }
    });
    insert(&database, [(1_000, "apple".to_owned(), 5)]).await;
    for _ in 0..3 {
        let before = noted(&database).await;
        process.rebuild();
        while noted(&database).await == before {
            process.fresh("pear").await;
        }
        assert_eq!(process.fresh("apple").await, [1_000]);
    }
    stop.store(true, Ordering::Relaxed);
    writer.await.unwrap();
    // That which answers, and the one before.
    assert_eq!(indices.names().await.len(), 2);
    let total: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM products WHERE name = 'pear'")
        .fetch_one(&database.pool())
        .await
        .unwrap();
    let (_, found) = process.list(&query(&[("search", "pear"), ("total", "")])).await.unwrap();
    assert_eq!(found.total, u64::try_from(total).ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_whose_process_is_killed_is_done_by_another() {
    let Some(indices) = TestIndices::create() else { return };
    let database = TestDatabase::create().await;
    insert(&database, (1..=100).map(|id| (id, "pear".to_owned(), id))).await;
    let proxy = Proxy::start(&indices).await;
    let mut killed = Process::ready(&database, &indices.url_by(&proxy), PATIENT).await;
    let before = noted(&database).await.unwrap();
    proxy.set(Mode::Hold("_bulk"));
    insert(&database, [(1_000, "apple".to_owned(), 5)]).await;
    killed.catalog.announce_replacement().await.unwrap();
    until_indices(&indices, 2).await;
    let begun = indices.names().await.into_iter().find(|name| *name != before).unwrap();
    killed.tasks.shutdown().await;
    proxy.set(Mode::Pass);
    let other = Process::start(&database, &indices.url(), Duration::ZERO);
    other.until(SearchStatus::Ready).await;
    // The index from before answers meanwhile, and says that it is none of the new catalogue.
    let (ids, is_stale) = other.ask("pear").await.unwrap();
    assert!(ids.len() == 20 && (is_stale || noted(&database).await.unwrap() != before));
    assert_eq!(other.until_fresh("apple").await, [1_000]);
    let (names, now) = (indices.names().await, noted(&database).await.unwrap());
    assert!(now != before && names.len() == 2 && !names.contains(&begun), "{names:?} {begun}");
}

/// How long searches of another process take beside 200 changes a second, and whether they have all of them. By hand:
/// `--ignored --nocapture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes 20 s"]
async fn beside_200_changes_a_second() {
    let Some(indices) = TestIndices::create() else { return };
    let database = TestDatabase::create().await;
    for start in [0, 10_000] {
        insert(&database, (1..=10_000).map(|id| (start + id, format!("Pear {id} of the tree"), id))).await;
    }
    let leader = Arc::new(Process::ready(&database, &indices.url(), PATIENT).await);
    let other = Process::ready(&database, &indices.url(), PATIENT).await;
    let (newest, mut writers) = (Arc::new(AtomicU64::new(0)), JoinSet::new());
    for writer in 0..4_u64 {
        let (leader, newest) = (Arc::clone(&leader), Arc::clone(&newest));
        writers.spawn(async move {
            let mut ticks = tokio::time::interval(4 * Duration::from_millis(5));
            for nth in 0..1_000 {
                ticks.tick().await;
                let number = 4 * nth + writer + 1;
                leader.apply(30_000 + number, upsert(&format!("word{number}x"), 5)).await;
                // As the push of the cache does.
                leader.wake();
                newest.fetch_max(number, Ordering::Relaxed);
            }
        });
    }
    let mut times = Vec::new();
    while newest.load(Ordering::Relaxed) < 3_900 {
        let number = newest.load(Ordering::Relaxed);
        let started = Instant::now();
        if number > 0 {
            assert_eq!(other.fresh(&format!("word{number}x")).await.len(), 1);
            times.push(started.elapsed());
        }
        sleep(TICK).await;
    }
    writers.join_all().await;
    times.sort();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    println!("{} searches: p50 {:?}, p99 {:?}, longest {:?}", times.len(), at(50), at(99), at(100));
}
