//! What is left under too much load. First the peak: the best rate that closed loops get. Then four times that rate
//! arrives, answered or not. Measured: the share of the peak that is still served, how much memory grows, and whether
//! `/health` answers meanwhile. The load shares the machine's cores with the servers.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::time::sleep;

use crate::environment::Environment;
use crate::load::{Engine, closed_loop, open_loop, per_second};
use crate::queries::{Queries, Query, SHAPES};
use crate::report::{Report, mebibytes};
use crate::server::Server;
use crate::stats::{Latencies, median};
use farmlokal_testing::http::Client;

/// How many clients saturate the API is tried out.
const CLOSED_LOOPS: [usize; 3] = [16, 64, 256];
/// Lists a second: more than closed loops get on any machine of today.
const ENOUGH: f64 = 10_000.0;
/// The load, in units of the peak.
const TIMES: f64 = 4.0;
/// The load comes over as many connections as lists are served in this time at the peak: more than the database's
/// admission queue holds.
const IN_FLIGHT: Duration = Duration::from_millis(500);
/// Between two requests for `/health`.
const HEALTH_PAUSE: Duration = Duration::from_millis(20);

pub(crate) async fn bench(environment: &Environment) -> Result<()> {
    let (database, duration) = (environment.database(1).await?, environment.duration);
    let mut queries = Queries::new(&database).await?;
    let api = Server::api(environment, &[]).await?;
    let warm_up = lists(&mut queries, ENOUGH / 4.0, Duration::from_secs(1))?;
    let engine = Engine::Api(api.address);
    closed_loop(&engine, warm_up, 16, duration).await?;
    let (mut rows, mut shares) = (Vec::new(), Vec::new());
    for round in 1..=environment.rounds {
        let peak = peak(&api, &mut queries, duration).await?;
        let [before, _] = api.memory()?;
        let lists = lists(&mut queries, peak * TIMES, duration)?;
        let (mut asked, mut health) = (0, Vec::new());
        let connections = count(peak, IN_FLIGHT);
        let outcome = tokio::select! {
            outcome = open_loop(&engine, lists, peak * TIMES, connections, duration) => outcome?,
            never = ask_health(api.address, &mut asked, &mut health) => match never {},
        };
        let [now, most] = api.memory()?;
        let [served, refused, failed] = [outcome.served.len(), outcome.refused.len(), outcome.failed]
            .map(|count| per_second(count, outcome.elapsed));
        eprintln!("round {round}: {served:.0} of {peak:.0} lists/s");
        shares.push(served / peak);
        let answered = health.len();
        let [served_p99, refused_p99, health_p99] = [outcome.served, outcome.refused, health]
            .map(|times| times.into_iter().collect::<Latencies>().percentile(99));
        rows.push(format!(
            "{round} | {peak:.0} | {:.1} × | {served:.0}, {:.0} % | {served_p99:.0} | {refused:.0} | {refused_p99:.0} | {} \
             | {answered} of {asked} | {health_p99:.0} | {}, {}, {}",
            (served + refused + failed) / peak,
            100.0 * served / peak,
            outcome.failed,
            mebibytes(before),
            mebibytes(now),
            mebibytes(most),
        ));
    }
    let mut report = Report::new(environment, "bench overload", "Four times the load that saturates");
    report.say(&format!(
        "Uncached pages. The peak is the best of {CLOSED_LOOPS:?} clients. Then {TIMES} times that rate arrives, over as many \
         connections as lists were served in {} ms. Latencies count from when a request was due. {} rounds of {} s.",
        IN_FLIGHT.as_millis(),
        environment.rounds,
        environment.duration.as_secs(),
    ));
    let head = "round | peak/s | offered | served/s, of peak | p99 ms | refused/s | p99 ms | failed | /health answered \
                | p99 ms | resident before, after, at the peak";
    report.table(head, rows);
    report.say(&format!("Median: **{:.0} % of the peak rate is served**.", 100.0 * median(shares)));
    report.finish()
}

/// Deep pages for this long at so many a second.
fn lists(queries: &mut Queries, rate: f64, duration: Duration) -> Result<Vec<Query>> {
    queries.deep(count(rate, duration).div_ceil(SHAPES))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of queries")]
fn count(rate: f64, duration: Duration) -> usize {
    (rate * duration.as_secs_f64()).ceil() as usize
}

/// The best rate of closed loops.
async fn peak(api: &Server, queries: &mut Queries, duration: Duration) -> Result<f64> {
    let mut best: f64 = 0.0;
    for clients in CLOSED_LOOPS {
        let lists = lists(queries, ENOUGH, duration)?;
        best = best.max(closed_loop(&Engine::Api(api.address), lists, clients, duration).await?.rate());
    }
    Ok(best)
}

/// Asks again and again: counts how often, and notes the times of the answers.
async fn ask_health(address: SocketAddr, asked: &mut usize, answered: &mut Vec<Duration>) -> Infallible {
    let mut client = Client::new(address);
    loop {
        let sent = Instant::now();
        let answer = client.get("/health").await;
        *asked += 1;
        if answer.is_ok_and(|answer| answer.status == 200) {
            answered.push(sent.elapsed());
        }
        sleep(HEALTH_PAUSE).await;
    }
}
