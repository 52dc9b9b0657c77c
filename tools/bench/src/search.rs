//! Searches, none from a cache: the API beside the full-text index of `InnoDB` on the same products, then at a fixed rate,
//! beside plain lists, and right after changes.

use anyhow::Result;
use sqlx::{AssertSqlSafe, MySqlPool};

use crate::environment::Environment;
use crate::fresh;
use crate::load::{Engine, Outcome, Rounds, closed_loop, open_loop};
use crate::queries::{Queries, Query};
use crate::report::Report;
use crate::server::Server;
use crate::stats::{Latencies, median};
use crate::words::Words;

const CLIENTS: usize = 16;
/// Entries of the cache are stored and looked for, but never found.
pub(crate) const UNCACHED: [(&str, &str); 3] =
    [("LOCAL_CACHE", "false"), ("CACHE_TTL", "1ms"), ("CACHE_STALE_TTL", "0s")];
/// More than are answered in a second.
const A_SECOND: usize = 4_000;
pub(crate) async fn bench(environment: &Environment) -> Result<()> {
    let (rounds, duration) = (environment.rounds, environment.duration);
    let database = environment.database(u32::try_from(CLIENTS)?).await?;
    copy(&database, environment.rows).await?;
    let mut queries = Queries::new(&database).await?;
    let mut words = Words::of(&queries.products);
    let many = A_SECOND * usize::try_from(duration.as_secs())?;
    let mut report = Report::new(environment, "bench search", "Searches beside InnoDB FULLTEXT");

    let uncached = Server::api(environment, &UNCACHED).await?;
    let (api, full_text) = (Engine::Api(uncached.address), Engine::Database(database));
    closed_loop(&api, words.mix(many)?, CLIENTS, duration).await?;
    let mut measured: [Rounds; 4] = Default::default();
    for round in 1..=rounds {
        eprintln!("round {round}");
        for (at, asked) in [words.common(many)?, words.mix(many)?].into_iter().enumerate() {
            for (engine, at) in [(&api, at), (&full_text, at + 2)] {
                measured[at].add(closed_loop(engine, asked.clone(), CLIENTS, duration).await?);
            }
        }
    }
    let [common, mix, common_full_text, mix_full_text] = measured;
    report.say(&format!(
        "{} products, {CLIENTS} clients, {rounds} rounds of {} s by turns. Common: the 20 commonest words, by price, with total \
         and facets. Mix: one to three words of a product, a tenth misspelt, a tenth cut short, by relevance, with the total. \
         FULLTEXT: the same words without the API, by price, no total, no facets, stopped after 5 s.",
        environment.rows,
        duration.as_secs()
    ));
    let rows = [
        ("common, API", common),
        ("common, FULLTEXT", common_full_text),
        ("mix, API", mix),
        ("mix, FULLTEXT", mix_full_text),
    ];
    report.table(
        "searches | answered/s | p50 ms | p99 ms | refused or stopped",
        rows.map(|(name, rounds)| rounds.row(name)),
    );

    let open = [
        ("common", 50.0, words.common(many)?),
        ("mix", 200.0, words.mix(many)?),
        ("suggestions", 200.0, words.suggestions(many)?),
    ];
    let mut rows = Vec::new();
    for (name, rate, asked) in open {
        let outcome = open_loop(&api, asked, rate, CLIENTS, duration * u32::from(rounds)).await?;
        let refused = outcome.refused.len() + outcome.failed;
        rows.push(format!("{name}, {rate}/s | {} | {refused}", outcome.times()));
    }
    report.say("Sent at a fixed rate:");
    report.table("API | p50 ms | p99 ms | refused", rows);

    drop(uncached);
    let rows = beside_lists(environment, &mut queries, &mut words, many).await?;
    report.say("Lists by 16 clients, alone and while 16 others search for common words:");
    report.table("lists | alone/s | beside searches/s | of alone | p99 ms | searches/s", rows);

    let rows = fresh::rows(environment, &[]).await?;
    report.say("Changes by `POST /webhook` to one API process, searched for in another once acknowledged, for 10 s at the most:");
    report.table("changes | until found, p50 ms | p99 ms | stale answers", rows);
    report.finish()
}

/// Hot lists and cold ones, with caches as they are by default.
async fn beside_lists(
    environment: &Environment,
    queries: &mut Queries,
    words: &mut Words,
    many: usize,
) -> Result<Vec<String>> {
    let server = Server::api(environment, &[]).await?;
    let (api, duration) = (Engine::Api(server.address), environment.duration);
    let hot = Query { path: "/products?limit=20".to_owned(), ..Query::default() };
    let mut rows = Vec::new();
    for is_hot in [true, false] {
        let (mut alone, mut beside, mut searched, mut all) = (vec![], vec![], vec![], Outcome::default());
        for _ in 0..environment.rounds {
            let mut lists = || if is_hot { Ok(vec![hot.clone(); 20 * many]) } else { queries.deep(many / 8) };
            let (first, second) = (lists()?, lists()?);
            alone.push(closed_loop(&api, first, CLIENTS, duration).await?.rate());
            // Another filter makes each of them one that no cache has.
            let mut common = words.common(many)?;
            for (nth, search) in common.iter_mut().enumerate() {
                let filter = format!("&maxPrice={}", 90_000_000 + nth);
                search.path = search.path.replace("&facets=category,price", &filter);
            }
            let common = queries.unseen(common);
            let (lists, common) = tokio::try_join!(
                closed_loop(&api, second, CLIENTS, duration),
                closed_loop(&api, common, CLIENTS, duration)
            )?;
            beside.push(lists.rate());
            searched.push(common.rate());
            all.add(lists);
        }
        let of_alone = median(alone.iter().zip(&beside).map(|(alone, beside)| 100.0 * beside / alone));
        let latencies: Latencies = all.served.into_iter().collect();
        rows.push(format!(
            "{} | {:.0} | {:.0} | {of_alone:.0} % | {:.2} | {:.0}",
            if is_hot { "hot" } else { "cold" },
            median(alone),
            median(beside),
            latencies.percentile(99),
            median(searched)
        ));
    }
    Ok(rows)
}

/// The products once more, with a full-text index. It is made once.
async fn copy(database: &MySqlPool, rows: u64) -> Result<()> {
    let count = "SELECT COUNT(*) FROM farmlokal_full_text_bench.products";
    let copied: Option<i64> = sqlx::query_scalar(count).fetch_one(database).await.ok();
    if copied.and_then(|copied| u64::try_from(copied).ok()) == Some(rows) {
        return Ok(());
    }
    eprintln!("making a full-text index of {rows} products");
    let statements = "DROP DATABASE IF EXISTS farmlokal_full_text_bench; CREATE DATABASE farmlokal_full_text_bench; \
        CREATE TABLE farmlokal_full_text_bench.products (PRIMARY KEY (id)) SELECT id, name, description, price FROM products; \
        ALTER TABLE farmlokal_full_text_bench.products ADD FULLTEXT (name, description)";
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(database).await?;
    Ok(())
}
