//! Four times the load that saturates the API: what it still serves, to whom, how fast it refuses the rest, and what that
//! costs in memory. Beside it, a reference: closed loops at the API while a bare axum route, a process of its own, refuses as much.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until};

use crate::client::Client;
use crate::cold::{ColdQuery, Queries, Shape};
use crate::environment::Environment;
use crate::hot;
use crate::load::{Engine, send_each_once};
use crate::reference;
use crate::report::{Report, mebibytes};
use crate::server::Server;
use crate::stats::{Latencies, median, milliseconds};

/// How many clients saturate the API is tried out. Where it is expensive to wake a core, few clients leave it idle.
const CLOSED_LOOPS: [usize; 3] = [16, 64, 256];
/// Lists a second: more than closed loops get on any machine of today.
const ENOUGH: f64 = 10_000.0;
/// The load, in units of the rate that saturates.
const TIMES: f64 = 4.0;
/// It comes over as many connections as lists are served in this time at the peak: half of that the last in the API's queue for the
/// database waits by its default, and as many again are there for what is refused.
const IN_FLIGHT: Duration = Duration::from_millis(500);
/// Between two requests of the client that asks for a hot list meanwhile.
const HOT_PAUSE: Duration = Duration::from_millis(5);

/// What came of the requests.
#[derive(Default)]
struct Outcome {
    served: Vec<Duration>,
    refused: Vec<Refused>,
    failed: usize,
    elapsed: Duration,
}

/// How long a refusal took.
#[derive(Clone, Copy)]
struct Refused {
    /// From when the request was due. All connections may have been waiting for lists then.
    since_due: Duration,
    /// From when it was sent.
    since_sent: Duration,
}

impl Outcome {
    fn add(&mut self, other: Outcome) {
        self.served.extend(other.served);
        self.refused.extend(other.refused);
        self.failed += other.failed;
        self.elapsed = self.elapsed.max(other.elapsed);
    }

    /// Takes the time from when the request was due: a client that is kept from sending it waits as well.
    async fn one(&mut self, client: &mut Client, path: &str, due: Instant) {
        let sent = Instant::now();
        match client.get(path).await {
            Ok(answer) if answer.is_ok() => self.served.push(due.elapsed()),
            Ok(answer) if answer.status == 503 => {
                self.refused.push(Refused { since_due: due.elapsed(), since_sent: sent.elapsed() });
            }
            _ => self.failed += 1,
        }
    }

    fn per_second(&self, count: usize) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52 requests")]
        let count = count as f64;
        count / self.elapsed.as_secs_f64()
    }

    fn all(&self) -> usize {
        self.served.len() + self.refused.len() + self.failed
    }

    fn since_sent(&self) -> Latencies {
        self.refused.iter().map(|refused| refused.since_sent).collect()
    }

    fn served(&self) -> f64 {
        self.per_second(self.served.len())
    }
}

/// Measures in rounds: the peak first, then the overload.
pub(crate) async fn bench(environment: &Environment, rounds: usize, duration: Duration) -> Result<()> {
    let catalog = Environment::catalog(&environment.database_url)?;
    let mut queries = Queries::sample(&catalog).await?;
    let api = Server::api(environment, &environment.database_url, &[]).await?;
    let bare = Server::reference(environment, &hot::save_body(environment, &api).await?).await?;
    send_each_once(&Engine::Api(api.address), indexed(&mut queries, 3_000)?, 16, duration).await?;
    let command = "cargo run --release -p farmlokal-bench -- bench overload";
    let mut report = Report::new("overload", "Four times the load that saturates", command);
    report.say(&format!(
        "Lists that one index serves, no query twice. The peak is the best of {CLOSED_LOOPS:?} clients, each of which sends \
         its next request when the last is answered. Then {TIMES} times that rate arrives over as many connections as \
         lists were served in {} ms, whatever is answered. Meanwhile one client asks for `{}` every {} ms. Last, the reference: \
         as many clients as gave the peak get lists from the API, while {} times the peak is refused by a bare axum \
         route, a process of its own. {rounds} rounds of {} s each. The load shares the machine's cores with the servers.",
        IN_FLIGHT.as_millis(),
        hot::PATH,
        HOT_PAUSE.as_millis(),
        TIMES - 1.0,
        duration.as_secs(),
    ));
    let mut rows = Vec::new();
    let (mut shares, mut left) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        let peak = peak(environment, &api, &mut queries, duration).await?;
        let before = api.process().memory()?.now;
        let (outcome, hot) = overload(environment, &api, &mut queries, peak.rate, duration).await?;
        let memory = api.process().memory()?;
        let beside = beside_bare(environment, &api, &bare, &mut queries, peak, duration).await?;
        let rate = peak.rate;
        eprintln!(
            "round {round}: {:.0} of {rate:.0} lists/s, {:.0} beside the reference",
            outcome.served(),
            beside.rate
        );
        shares.push(outcome.served() / rate);
        left.push(beside.rate / rate);
        rows.push(row(round, rate, &outcome, &hot, [before, memory.now, memory.peak], &beside));
    }
    report.table(
        [
            "round",
            "peak/s",
            "offered/s, × peak",
            "served/s",
            "of peak",
            "p50 ms",
            "p99 ms",
            "refused/s",
            "p50 ms",
            "p99 ms",
            "p50 ms since sent",
            "p99 ms since sent",
            "failed",
            "hot p99 ms",
            "hot refused",
            "resident before",
            "after",
            "peak",
            "beside bare refusals/s, of peak",
            "refused/s",
            "p50 ms since sent",
            "p99 ms since sent",
        ],
        rows,
    );
    report.say(&format!(
        "Median: **{:.0} % of the peak rate is served**; beside the bare route's refusals {:.0} %.",
        100.0 * median(shares),
        100.0 * median(left)
    ));
    report.finish(&environment.root)
}

fn row(
    round: usize,
    peak: f64,
    outcome: &Outcome,
    hot: &Outcome,
    memory: [u64; 3],
    beside: &Beside,
) -> [String; 22] {
    let served: Latencies = outcome.served.iter().copied().collect();
    let refused: Latencies = outcome.refused.iter().map(|refused| refused.since_due).collect();
    let (sent, bare) = (outcome.since_sent(), beside.refusals.since_sent());
    let hot_served: Latencies = hot.served.iter().copied().collect();
    let offered = outcome.per_second(outcome.all());
    let [before, after, most] = memory.map(mebibytes);
    [
        round.to_string(),
        format!("{peak:.0}"),
        format!("{offered:.0}, {:.1} ×", offered / peak),
        format!("{:.0}", outcome.served()),
        format!("{:.0} %", 100.0 * outcome.served() / peak),
        milliseconds(served.percentile(50)),
        milliseconds(served.percentile(99)),
        format!("{:.0}", outcome.per_second(outcome.refused.len())),
        milliseconds(refused.percentile(50)),
        milliseconds(refused.percentile(99)),
        milliseconds(sent.percentile(50)),
        milliseconds(sent.percentile(99)),
        outcome.failed.to_string(),
        milliseconds(hot_served.percentile(99)),
        format!("{} of {}", hot.refused.len() + hot.failed, hot.all()),
        before,
        after,
        most,
        format!("{:.0}, {:.0} %", beside.rate, 100.0 * beside.rate / peak),
        format!("{:.0}", beside.refusals.per_second(beside.refusals.all())),
        milliseconds(bare.percentile(50)),
        milliseconds(bare.percentile(99)),
    ]
}

/// At least so many queries, every indexed shape alike.
fn indexed(queries: &mut Queries, count: usize) -> Result<Vec<ColdQuery>> {
    let shapes = Shape::all().into_iter().filter(|shape| shape.has_index()).count();
    queries.of_each(Shape::has_index, count.div_ceil(shapes))
}

/// Empties the caches, and makes lists for this long at so many a second.
async fn fresh(
    environment: &Environment,
    queries: &mut Queries,
    rate: f64,
    duration: Duration,
) -> Result<Vec<ColdQuery>> {
    environment.flush_cache().await?;
    indexed(queries, count(rate, duration))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of queries")]
fn count(rate: f64, duration: Duration) -> usize {
    (rate * duration.as_secs_f64()).ceil() as usize
}

/// The best rate of closed loops, and how many clients gave it.
#[derive(Clone, Copy)]
struct Peak {
    rate: f64,
    clients: usize,
}

async fn peak(
    environment: &Environment,
    api: &Server,
    queries: &mut Queries,
    duration: Duration,
) -> Result<Peak> {
    let mut best = Peak { rate: 0.0, clients: 0 };
    for clients in CLOSED_LOOPS {
        let lists = fresh(environment, queries, ENOUGH, duration).await?;
        let rate = send_each_once(&Engine::Api(api.address), lists, clients, duration).await?.rate();
        if rate > best.rate {
            best = Peak { rate, clients };
        }
    }
    ensure!(best.rate > 0.0, "nothing was served");
    Ok(best)
}

/// Sends so many times the peak, on time, answered or not; and asks for the hot list.
async fn overload(
    environment: &Environment,
    api: &Server,
    queries: &mut Queries,
    peak: f64,
    duration: Duration,
) -> Result<(Outcome, Outcome)> {
    let rate = peak * TIMES;
    let lists = fresh(environment, queries, rate, duration).await?;
    let lists = lists.into_iter().map(|list| list.path).collect();
    let done = Arc::new(AtomicBool::new(false));
    let hot = tokio::spawn(ask_hot(api.address, Arc::clone(&done)));
    let outcome = open_loop(api.address, lists, rate, count(peak, IN_FLIGHT), duration).await?;
    done.store(true, Ordering::Relaxed);
    Ok((outcome, hot.await?))
}

/// What the reference gave.
struct Beside {
    /// Lists a second.
    rate: f64,
    refusals: Outcome,
}

/// Runs the closed loop that gave the peak, while all that is beyond the peak in [`overload`] is refused by a bare route.
async fn beside_bare(
    environment: &Environment,
    api: &Server,
    bare: &Server,
    queries: &mut Queries,
    peak: Peak,
    duration: Duration,
) -> Result<Beside> {
    let lists = fresh(environment, queries, ENOUGH, duration).await?;
    let refusals = vec![reference::REFUSAL.to_owned()];
    let connections = count(peak.rate, IN_FLIGHT);
    let engine = Engine::Api(api.address);
    let (lists, refusals) = tokio::join!(
        send_each_once(&engine, lists, peak.clients, duration),
        open_loop(bare.address, refusals, peak.rate * (TIMES - 1.0), connections, duration),
    );
    let (rate, refusals) = (lists?.rate(), refusals?);
    ensure!(refusals.refused.len() == refusals.all(), "the bare route did not refuse all");
    Ok(Beside { rate, refusals })
}

/// Sends `rate` requests a second on time, answered or not, over so many connections, for these paths by turns.
async fn open_loop(
    address: SocketAddr,
    paths: Vec<String>,
    rate: f64,
    connections: usize,
    duration: Duration,
) -> Result<Outcome> {
    let (paths, next) = (Arc::new(paths), Arc::new(AtomicUsize::new(0)));
    let started = tokio::time::Instant::now();
    let mut senders = JoinSet::new();
    for _ in 0..connections {
        let (paths, next, mut client) = (Arc::clone(&paths), Arc::clone(&next), Client::new(address));
        senders.spawn(async move {
            let mut outcome = Outcome::default();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                #[expect(clippy::cast_precision_loss, reason = "far below 2^52 requests")]
                let due = Duration::from_secs_f64(number as f64 / rate);
                let Some(path) = paths.get(number % paths.len()).filter(|_| due < duration) else { break };
                sleep_until(started + due).await;
                outcome.one(&mut client, path, (started + due).into_std()).await;
            }
            outcome
        });
    }
    let mut outcome = Outcome::default();
    while let Some(sender) = senders.join_next().await {
        outcome.add(sender?);
    }
    outcome.elapsed = started.elapsed();
    Ok(outcome)
}

async fn ask_hot(address: SocketAddr, done: Arc<AtomicBool>) -> Outcome {
    let (mut client, mut outcome) = (Client::new(address), Outcome::default());
    while !done.load(Ordering::Relaxed) {
        outcome.one(&mut client, hot::PATH, Instant::now()).await;
        sleep(HOT_PAUSE).await;
    }
    outcome
}
