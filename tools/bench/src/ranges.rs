//! Ranges of prices in another order than price, which no index of the database serves, with the exact total and without.

use anyhow::{Context as _, Result};
use rand::RngExt as _;
use rand::seq::IndexedRandom as _;

use crate::environment::Environment;
use crate::load::{Engine, Rounds, closed_loop};
use crate::queries::{ORDERS, Queries, Query, first_page, page_after, path};
use crate::report::Report;
use crate::server::Server;

const CLIENTS: usize = 16;
/// Sorts that are in no index with the price.
const SORTS: [&str; 3] = ["id", "name", "createdAt"];
/// In each round: more than are answered.
const A_SECOND: usize = 8_000;

pub(crate) async fn bench(environment: &Environment) -> Result<()> {
    let mut queries = Queries::new(&environment.database(1).await?).await?;
    let server = Server::api(environment, &[]).await?;
    let api = Engine::Api(server.address);
    let seconds = usize::try_from(environment.duration.as_secs())?;
    let mut rows = Vec::new();
    for adversarial in [false, true] {
        for total in [false, true] {
            let mut rounds = Rounds::default();
            for _ in 0..environment.rounds {
                let queries = queries.ranges(A_SECOND * seconds, adversarial, total)?;
                rounds.add(closed_loop(&api, queries, CLIENTS, environment.duration).await?);
            }
            let data = if adversarial { "adversarial" } else { "natural" };
            rows.push(rounds.row(&format!("{data}{}", if total { ", with the total" } else { "" })));
        }
    }
    let mut report = Report::new(environment, "bench ranges", "Price ranges in another order than price");
    report.say(&format!(
        "{} products, {CLIENTS} clients, no query twice. Natural: ranges of log-uniform width around a product's price. \
         Adversarial: half a few cents wide, half pages at a random depth of nearly all products. {} rounds of {seconds} s.",
        environment.rows, environment.rounds
    ));
    report.table("ranges | lists/s | p50 ms | p99 ms | refused", rows);
    report.finish()
}

impl Queries {
    pub(crate) fn ranges(&mut self, count: usize, adversarial: bool, total: bool) -> Result<Vec<Query>> {
        let mut prices: Vec<u64> = self.products.iter().map(|product| product.price.cents()).collect();
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
                self.around(&prices, product.price.cents())
            };
            let [low, high] = [low, high].map(|cents| format!("{}.{:02}", cents / 100, cents % 100));
            let mut list = first_page(sort, order);
            list.extend([("minPrice", &*low), ("maxPrice", &*high)]);
            list.extend(total.then_some(("total", "true")));
            let path = if deep { page_after(&list, &product) } else { path(&list) };
            queries.push(Query { path, ..Query::default() });
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
