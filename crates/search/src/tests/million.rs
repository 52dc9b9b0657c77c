//! How long it takes with a million products: run by hand, in release mode, with `--ignored --nocapture`.

use std::time::{Duration, Instant};

use farmlokal_catalog::{
    Categories, Category, Filter, IndexRow, Limit, ListQuery, Order, Price, PriceRange, SearchText, Sort,
};

use super::{apply, engine_with, row, searching, sorted, time};
use crate::{Engine, Rebuild as _};

const PRODUCTS: u64 = 1_000_000;

/// A number that looks random, the same in each run.
fn random(seed: u64) -> u64 {
    let mixed = (seed ^ (seed >> 31)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 20
}

/// The word of a rank, of two to four syllables.
fn word(rank: u64) -> String {
    const SYLLABLES: [&str; 16] = [
        "to", "ma", "ri", "ce", "che", "pel", "sun", "bar", "lo", "kal", "gre", "vin", "dos", "hu", "ney",
        "pot",
    ];
    let mut rank = random(rank + 7_777) % 1_000_000;
    let mut word = String::new();
    for _ in 0..=2 + rank % 3 {
        word.push_str(SYLLABLES[(rank % 16) as usize]);
        rank /= 13;
    }
    word
}

/// As common as words are: the rank of each is a power of a uniform number.
fn text(id: u64, words: u64) -> String {
    let mut text = String::new();
    for nth in 0..words {
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let rank = (20_000_f64.powf((random(id * 64 + nth) % 1_000_000) as f64 / 1e6)) as u64;
        text.push_str(&word(rank));
        text.push(' ');
    }
    text
}

fn product(id: u64) -> IndexRow {
    let mut row = row(id, text(id, 4).trim());
    let product = &mut row.product;
    product.description = text(id + PRODUCTS, 15);
    product.category = format!("Category {}", random(id) % 40);
    product.price = Price::from_cents(100 + random(id * 3) % 1_000 * (1 + random(id * 5) % 100)).unwrap();
    product.created_at = time(i64::try_from(random(id * 7) % 1_000_000_000).unwrap());
    row
}

fn resident() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let of = |name: &str| status.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    println!("{} {}", of("VmRSS"), of("VmHWM"));
}

async fn timed<T, F: Future<Output = T>>(what: &str, run: impl Fn() -> F) -> T {
    let mut times = Vec::new();
    for _ in 0..9 {
        let start = Instant::now();
        run().await;
        times.push(start.elapsed());
    }
    times.sort();
    println!("{what}: median {:?}, worst {:?}", times[4], times[8]);
    run().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute, and says something in release mode only"]
async fn a_million_products() {
    let engine = engine_with(512 << 20, "");
    resident();
    let mut building = Duration::ZERO;
    let mut rebuild = engine.rebuild().unwrap();
    for chunk in 0..PRODUCTS / 10_000 {
        let rows = (chunk * 10_000 + 1..=(chunk + 1) * 10_000).map(product).collect();
        let start = Instant::now();
        rebuild.add(rows).await.unwrap();
        building += start.elapsed();
    }
    let start = Instant::now();
    rebuild.finish(&farmlokal_catalog::ChangePosition::default()).await.unwrap()();
    println!(
        "built in {:?}, of it {:?} at the end; {} bytes",
        building + start.elapsed(),
        start.elapsed(),
        engine.memory()
    );
    resident();
    queries(&engine).await;
    for round in ["while segments are merged", "after that"] {
        let start = Instant::now();
        for id in 1..=200 {
            apply(&engine, vec![(id * 1_000, Some(product(id * 1_000)))]).await;
        }
        println!("a change {round}: {:?}", start.elapsed() / 200);
        tokio::time::sleep(Duration::from_secs(10)).await;
        resident();
    }
    queries(&engine).await;
}

async fn queries(engine: &impl Engine) {
    let search = |text: &str, sort, order| {
        let filter = Filter { search: Some(SearchText::new(text).unwrap()), ..Filter::default() };
        sorted(filter, sort, order).with_limit(Limit::new(20).unwrap())
    };
    let run = async |what: &str, query: ListQuery| {
        let found = timed(what, async || engine.search(&query, None).await.unwrap()).await;
        println!("    {:?} products at {:?}, {:?}", found.total, found.level, found.corrections);
    };
    run("commonest word by price, facets", search(&word(1), Some(Sort::Price), None)).await;
    run(
        "commonest word by price, last first, facets",
        search(&word(1), Some(Sort::Price), Some(Order::Desc)),
    )
    .await;
    run("commonest word by relevance, facets", search(&word(1), None, None)).await;
    let bare = search(&word(1), Some(Sort::Price), None).with(farmlokal_catalog::Include::default());
    run("commonest word by price, page only", bare.clone()).await;
    let total = farmlokal_catalog::Include { total: true, ..farmlokal_catalog::Include::default() };
    run("commonest word by price, total", bare.with(total)).await;
    run("word 30 by relevance", search(&word(30), None, None)).await;
    run("word 5000", search(&word(5_000), None, None)).await;
    run("two words by relevance", search(&format!("{} {}", word(1), word(2)), None, None)).await;
    let common = word(3);
    run("prefix", search(&common[..common.len() - 1], None, None)).await;
    run("typo", search(&format!("q{}", word(900)), None, None)).await;
    run("typo with highlights", searching(&format!("q{} {}", word(900), word(2)))).await;
    for (what, highest) in [("narrow", 2_000), ("wide", 40_000), ("widest", 9_000_000)] {
        let prices = PriceRange::new(Price::from_cents(1_000), Price::from_cents(highest)).unwrap();
        for sort in [Sort::Id, Sort::Name, Sort::CreatedAt] {
            let query = ListQuery::new(Filter { prices, ..Filter::default() }, Some(sort), None).unwrap();
            run(&format!("{what} prices by {sort:?}"), query.with(total)).await;
        }
    }
    run("everything, facets", sorted(Filter::default(), None, None)).await;
    let categories = ["Category 1", "Category 7"].map(|name| Category::new(name).unwrap());
    let filter = Filter { categories: Categories::new(categories.into()).unwrap(), ..Filter::default() };
    run("two categories, facets", sorted(filter, Some(Sort::Name), None)).await;
    for text in ["t", "ch", "tomari", &format!("{} ch", word(1))] {
        let text = SearchText::new(text).unwrap();
        let found = timed("suggestions", async || engine.suggest(&text, 8).await.unwrap()).await;
        println!("    {:?}", found.0.first());
    }
}
