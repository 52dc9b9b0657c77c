//! Ranges of prices in another order than price, which no index of the database serves, with the exact total and without.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use rand::RngExt as _;
use rand::seq::IndexedRandom as _;

use crate::environment::Environment;
use crate::load::{Engine, Outcome, closed_loop};
use crate::queries::{ORDERS, Queries, Query, first_page, price};
use crate::report::Report;
use crate::search::times;
use crate::server::Server;
use crate::stats::median;

const CLIENTS: usize = 16;
/// Sorts that are in no index with the price.
const SORTS: [&str; 3] = ["id", "name", "createdAt"];
/// In each round: more than are answered.
const A_SECOND: usize = 8_000;

pub(crate) async fn bench(environment: &Environment) -> Result<()> {
    let mut queries = Queries::new(&environment.database(1).await?).await?;
    let own = if environment.url.is_none() { Some(Server::api(environment, &[]).await?) } else { None };
    let address = own.as_ref().map(|api| api.address).or(environment.url).context("no API")?;
    let seconds = usize::try_from(environment.duration.as_secs())?;
    // An API of before may not know totals.
    let totals = if own.is_some() { &[false, true][..] } else { &[false] };
    let mut rows = Vec::new();
    for adversarial in [false, true] {
        for total in totals {
            let (mut rates, mut all) = (Vec::new(), Outcome::default());
            for _ in 0..environment.rounds {
                let queries = queries.ranges(address, A_SECOND * seconds, adversarial, *total).await?;
                let outcome =
                    closed_loop(&Engine::Api(address), queries, CLIENTS, environment.duration).await?;
                rates.push(outcome.rate());
                all.add(outcome);
            }
            let data = if adversarial { "adversarial" } else { "natural" };
            let total = if *total { ", with the total" } else { "" };
            rows.push(format!(
                "{data}{total} | {:.0} | {} | {}",
                median(rates),
                times(&all),
                all.refused.len()
            ));
        }
    }
    let mut report =
        Report::new(environment, "ranges", "Price ranges in another order than price", "bench ranges");
    report.say(&format!(
        "{} products, {CLIENTS} clients, no query twice, by id, name or time. Natural: ranges of log-uniform width around a \
         product's price. Adversarial: half of them a few cents wide anywhere, half pages at a random depth of nearly all \
         products. {} rounds of {seconds} s.",
        environment.rows, environment.rounds
    ));
    report.table("ranges | lists/s | p50 ms | p99 ms | max ms | refused", rows);
    report.finish()
}

impl Queries {
    async fn ranges(
        &mut self,
        api: SocketAddr,
        count: usize,
        adversarial: bool,
        total: bool,
    ) -> Result<Vec<Query>> {
        let mut prices: Vec<u64> = self.products.iter().map(|product| product.cents).collect();
        prices.sort_unstable();
        let (lowest, highest) = (prices[0], prices[prices.len() - 1]);
        let mut queries = Vec::new();
        for nth in 0..count {
            let sort = SORTS.choose(&mut self.random).context("no sorts")?;
            let order = ORDERS.choose(&mut self.random).context("no orders")?;
            let product = self.position()?;
            let deep = adversarial && nth % 2 == 0;
            let [low, high] = if deep {
                [lowest + 1, highest - 1]
            } else if adversarial {
                let low = self.random.random_range(lowest..=highest);
                [low, low + self.random.random_range(0..100)]
            } else {
                self.around(&prices, product.cents)
            };
            let total = if total { "&total=true" } else { "" };
            let first = first_page(sort, order, None);
            let mut path = format!("{first}&minPrice={}&maxPrice={}{total}", price(low), price(high));
            if deep {
                path = self.cursors.page_after(api, &path, sort, &product).await?;
            }
            queries.push(Query { path, statement: String::new(), values: Vec::new() });
        }
        Ok(self.unseen(queries))
    }

    /// A range that holds a price. Its width is log-uniform: from one row's own price to the whole table.
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn around(&mut self, prices: &[u64], price: u64) -> [u64; 2] {
        let at = prices.partition_point(|other| *other < price);
        let width = (prices.len() as f64).powf(self.random.random::<f64>()) as usize - 1;
        let low = at.saturating_sub(self.random.random_range(0..=width));
        let high = (low + width).clamp(at, prices.len() - 1);
        [prices[low], prices[high]]
    }
}
