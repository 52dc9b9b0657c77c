//! What was acknowledged before a search began is in its answer, in every replica.

use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use farmlokal_catalog::{Change, Cursor, ListQuery, SearchText};
use farmlokal_testing::{TestDatabase, query};
use tokio::task::JoinSet;

use crate::fixture::{NEVER, Replica, apply, insert, price, upsert};

/// Changes in all, unless `FRESH_CHANGES` says another number.
const CHANGES: usize = 400;
const WRITERS: usize = 4;

fn changes() -> usize {
    env::var("FRESH_CHANGES").map_or(CHANGES, |changes| changes.parse().unwrap())
}

/// What a writer left of its product.
enum Expected {
    Is(String, u64),
    Gone(String),
}

/// The product as it is now, exactly once; nothing of what it was before.
async fn check(replica: &Replica, product: u64, expected: &Expected) {
    let (word, cents) = match expected {
        Expected::Is(word, cents) => (word, Some(*cents)),
        Expected::Gone(word) => (word, None),
    };
    let (page, answer) = replica.answer(&query(&[("search", word), ("total", "")])).await;
    let found: Vec<_> = page.products.iter().map(|found| (found.id, found.price.cents())).collect();
    let wanted: Vec<_> = cents.map(|cents| (product, cents)).into_iter().collect();
    assert_eq!((found, answer.total), (wanted.clone(), Some(wanted.len() as u64)), "{word}");
    let Some(cents) = cents else { return };
    let (at, below) = (price(cents).to_string(), price(cents - 1).to_string());
    for (bounds, count) in [
        ([("minPrice", at.as_str()), ("maxPrice", &at)], 1),
        ([("maxPrice", below.as_str()), ("minPrice", "0")], 0),
    ] {
        let pairs = [("search", word.as_str()), ("sort", "price"), bounds[0], bounds[1]];
        assert_eq!(replica.found(&pairs).await.len(), count, "{pairs:?}");
    }
}

/// One writer's changes of products of its own, each searched for through every replica as soon as it is acknowledged.
async fn write(writer: usize, replicas: Arc<Vec<Replica>>, count: usize, done: Arc<AtomicUsize>) {
    let products = 5;
    let mut names = vec![None; products];
    for round in 0..count {
        let nth = round % products;
        let product = (1_000 * (writer + 1) + nth) as u64;
        let (name, cents) = (names[nth].clone(), 1 + (round as u64 * 7_919) % 90_000);
        let (change, expected) = match (round / products % 4, name) {
            (1, Some(name)) => (Change::PriceChange(price(cents)), Expected::Is(name, cents)),
            (3, Some(name)) => (Change::Delete, Expected::Gone(name)),
            _ => {
                let word = format!("w{writer}r{round:06}z");
                (upsert(&word, cents), Expected::Is(word, cents))
            }
        };
        let before = names[nth].take();
        apply(&replicas[writer % replicas.len()].catalog, product, change).await;
        // One replica is told, the others are not.
        replicas[0].wake();
        for replica in replicas.iter() {
            check(replica, product, &expected).await;
            if let (Some(before), Expected::Is(word, _)) = (&before, &expected)
                && before != word
            {
                check(replica, product, &Expected::Gone(before.clone())).await;
            }
        }
        if let Expected::Is(word, _) = expected {
            names[nth] = Some(word);
        }
        done.fetch_add(1, Ordering::Relaxed);
    }
}

/// One replica is woken, one polls, and one does neither; the indexes are rebuilt meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_found_as_soon_as_it_is_acknowledged() {
    let database = TestDatabase::create().await;
    insert(&database, (1..=200).map(|id| (id, format!("Apple {id}"), id))).await;
    let mut replicas = Vec::new();
    for poll in [NEVER, Duration::from_millis(20), NEVER] {
        replicas.push(Replica::ready(&database, poll).await);
    }
    let (replicas, done) = (Arc::new(replicas), Arc::new(AtomicUsize::new(0)));
    let each = changes() / WRITERS;
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        writers.spawn(write(writer, Arc::clone(&replicas), each, Arc::clone(&done)));
    }
    let replace = async {
        for nth in 1..4 {
            while done.load(Ordering::Relaxed) < nth * each {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            replicas[0].catalog.announce_replacement().await.unwrap();
            replicas[1].rebuild();
        }
    };
    // A writer that fails ends the test.
    let write = async {
        while let Some(written) = writers.join_next().await {
            written.unwrap();
        }
    };
    tokio::select! {
        () = write => {}
        () = async { replace.await; std::future::pending().await } => {}
    }
    assert_eq!(done.load(Ordering::Relaxed), WRITERS * each);
}

/// Changes of other products between any index's answer and its rows.
#[tokio::test(flavor = "multi_thread")]
async fn changes_of_other_products_hold_no_search_up() {
    let database = TestDatabase::create().await;
    insert(&database, (1..=50).map(|id| (id, "apple".to_owned(), id))).await;
    let replica = Arc::new(Replica::ready(&database, NEVER).await);
    let (changed, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    replica.engine.hold_back_until(&changed);
    let writer = tokio::spawn({
        let (replica, stop) = (Arc::clone(&replica), Arc::clone(&stop));
        async move {
            while !stop.load(Ordering::Relaxed) {
                replica.apply(1_000, upsert("pear", 5)).await;
                changed.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    for _ in 0..20 {
        let all = query(&[("search", "apple"), ("total", ""), ("limit", "100")]);
        let (page, found) = replica.answer(&all).await;
        assert_eq!((page.products.len(), found.total), (50, Some(50)));
    }
    stop.store(true, Ordering::Relaxed);
    writer.await.unwrap();
}

/// All pages of a list, each from another replica than the one before.
async fn walk(replicas: &[Replica], first: ListQuery) -> Vec<(u64, String)> {
    let (mut query, mut all) = (first.clone(), Vec::new());
    for replica in replicas.iter().cycle() {
        let page = replica.answer(&query).await.0;
        all.extend(page.products.into_iter().map(|product| (product.id, product.name)));
        let Some(cursor) = page.next_cursor else { break };
        let cursor: Cursor = cursor.to_string().parse().unwrap();
        query = first.clone().at(&cursor).unwrap();
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_through_two_replicas_gives_each_unchanged_product_once() {
    let database = TestDatabase::create().await;
    // Many of equal price, names of two scripts.
    let named = |id: u64| {
        (id, format!("apple {} {}", if id.is_multiple_of(2) { "सेब" } else { "red" }, id % 13), 1 + id % 7)
    };
    insert(&database, (1..=200).map(|nth| named(2 * nth))).await;
    let replicas = [Replica::ready(&database, NEVER).await, Replica::ready(&database, NEVER).await];
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = JoinSet::new();
    for (writer, replica) in replicas.iter().enumerate() {
        let (catalog, stop) = (replica.catalog.clone(), Arc::clone(&stop));
        writers.spawn(async move {
            let mut changed = 0;
            for round in 0_u64.. {
                let product = 1 + 2 * (20 * writer as u64 + round % 20);
                let (_, name, _) = named(product + round);
                let change = if round / 20 % 3 == 2 { Change::Delete } else { upsert(&name, 1 + round % 9) };
                apply(&catalog, product, change).await;
                changed += 1;
                if stop.load(Ordering::Relaxed) {
                    break;
                }
            }
            changed
        });
    }
    for (sort, order) in
        [("price", "asc"), ("name", "desc"), ("id", "asc"), ("createdAt", "desc"), ("name", "asc")]
    {
        let first = query(&[("search", "apple"), ("sort", sort), ("order", order), ("limit", "7")]);
        let mut unchanged: Vec<u64> =
            walk(&replicas, first).await.into_iter().map(|(id, _)| id).filter(|id| id % 2 == 0).collect();
        unchanged.sort_unstable();
        assert_eq!(unchanged, (1..=200).map(|nth| 2 * nth).collect::<Vec<_>>(), "{sort} {order}");
    }
    stop.store(true, Ordering::Relaxed);
    while let Some(changed) = writers.join_next().await {
        assert!(changed.unwrap() > 20, "nothing changed meanwhile");
    }
}

#[tokio::test]
async fn suggestions_are_as_fresh() {
    let database = TestDatabase::create().await;
    let replica = Replica::ready(&database, NEVER).await;
    let text = SearchText::new("apple").unwrap();
    for nth in 0..20 {
        let (suggestions, _) = replica.suggest(&text, 8).await.unwrap();
        assert_eq!(suggestions.iter().map(|suggestion| suggestion.products).sum::<u64>(), nth);
        replica.apply(1 + nth, upsert("apple", 5)).await;
    }
}
