//! What a page costs at any depth: one client, no cache, every sort. Draws the plot.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::environment::Environment;
use crate::plot;
use crate::queries::{SORTS, first_page, page_after, products};
use crate::report::Report;
use crate::server::Server;
use crate::stats::Latencies;
use farmlokal_testing::http::Client;

/// Rows before the page.
const DEPTHS: [u32; 6] = [0, 50_000, 250_000, 500_000, 750_000, 990_000];
/// Pages at each depth of each sort.
const PAGES: usize = 110;
const WARM_UP: usize = 10;
const PLOT: &str = "docs/plot.svg";

pub(crate) async fn bench(environment: &Environment) -> Result<()> {
    let database = environment.database(1).await?;
    let api = Server::api(environment, &[]).await?;
    let mut client = Client::new(api.address);
    let mut pages = Vec::new();
    for sort in SORTS {
        let column = if sort == "createdAt" { "created_at" } else { sort };
        let first = first_page(sort, "ASC");
        for depth in DEPTHS {
            let rows = format!("SELECT id FROM products ORDER BY {column}, id LIMIT {PAGES} OFFSET {depth}");
            let starts = products(&database, format!("products JOIN ({rows}) AS page USING (id)")).await?;
            pages.extend(starts.iter().map(|start| (sort, depth, page_after(&first, start))));
        }
    }
    let mut times: HashMap<_, Vec<Duration>> = HashMap::new();
    for at in 0..PAGES {
        // By turns, so that whatever else the machine does meets all depths alike.
        for (sort, depth, path) in pages.iter().skip(at).step_by(PAGES) {
            let sent = Instant::now();
            let status = client.get(path).await?.status;
            ensure!(status == 200, "GET {path}: {status}");
            // The first ones make the API's connections.
            if at >= WARM_UP {
                times.entry((*sort, *depth)).or_default().push(sent.elapsed());
            }
        }
    }
    let times = |sort, depth| times[&(sort, depth)].iter().copied().collect::<Latencies>();

    let mut report = Report::new(environment, "bench depth", "Latency by page depth");
    report.say(&format!(
        "Lists of 20 of {} products after so many rows, by one client, none from a cache: {} pages at each depth. \
         Medians in ms, as in `{PLOT}`.",
        environment.rows,
        PAGES - WARM_UP
    ));
    report.table(
        "rows before the page | id | price | name | createdAt",
        DEPTHS.map(|depth| {
            let cells = SORTS.map(|sort| format!("{:.2}", times(sort, depth).percentile(50)));
            format!("{depth} | {}", cells.join(" | "))
        }),
    );
    let line = |sort| {
        let points = DEPTHS.map(|depth| (f64::from(depth), times(sort, depth).percentile(50)));
        (format!("sort={sort}"), points.to_vec())
    };
    let drawn = plot::lines("rows before the page", "median latency of a page of 20, ms", &SORTS.map(line));
    std::fs::write(environment.root.join(PLOT), drawn)?;
    report.finish()
}
