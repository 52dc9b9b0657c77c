//! What a hit in the in-process layer costs: `cargo run --release -p farmlokal-cache --example local_hit`.

#![allow(clippy::print_stdout, clippy::cast_precision_loss)]

use std::{convert::Infallible, hint::black_box, time::Duration, time::Instant};

use bytes::Bytes;
use farmlokal_cache::{Cache, CacheConfig, LocalConfig, Value};
use farmlokal_devstack::Redis;

const KEYS: usize = 1000;
const READS: usize = 2_000_000;

#[derive(Clone)]
struct Body(Bytes);

impl Value for Body {
    fn encode(&self) -> Vec<u8> {
        self.0.to_vec()
    }
    fn decode(bytes: Bytes) -> Option<Self> {
        Some(Self(bytes))
    }
    fn weight(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let redis = Redis::start()?;
    let mut config = CacheConfig::new(redis.url());
    config.local = Some(LocalConfig { ttl: Duration::from_mins(5), ..LocalConfig::default() });
    let cache = Cache::new(config)?;
    while !cache.state().subscribed {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let keys: Vec<String> =
        (0..KEYS).map(|n| format!("list:sort=price&order=ASC&limit=20&cursor={n}")).collect();
    let body = Body(Bytes::from(vec![b'x'; 6000]));
    for key in &keys {
        let body = body.clone();
        cache
            .get_or_fill(key, || async { Ok::<_, Infallible>(body) })
            .await
            .map_err(|_| anyhow::anyhow!("cannot fail"))?;
    }

    let started = Instant::now();
    let hits =
        keys.iter().cycle().take(READS).filter(|key| black_box(cache.get_local(key)).is_some()).count();
    report("get_local", hits, started);

    let started = Instant::now();
    let mut hits = 0;
    for key in keys.iter().cycle().take(READS) {
        let found = cache.get_or_fill(key, || async { Err::<Body, _>(()) }).await;
        hits += usize::from(black_box(found).is_ok());
    }
    report("get_or_fill", hits, started);
    Ok(())
}

fn report(name: &str, hits: usize, started: Instant) {
    let nanoseconds = started.elapsed().as_nanos() as f64 / READS as f64;
    println!("{name}: {nanoseconds:.0} ns a call, {hits} of {READS} calls were hits");
}
