//! How much of the cache is left under a stream of changes. Run by hand:
//! `cargo test -p farmlokal-cache --test cache -- hit_ratio --ignored --nocapture`.
#![allow(clippy::print_stdout)]
#![allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)]

use std::{
    future::ready,
    time::{Duration, Instant},
};

use farmlokal_cache::{Cache, Key, Source};
use farmlokal_devstack::Redis;
use rand_distr::{Distribution as _, Zipf};

use crate::fixture::{Layer, Text, config, connected, text};

const ITEMS: u64 = 2_000;
const LISTS: u64 = 200;
const RUN: Duration = Duration::from_secs(30);
const REQUESTS_PER_SECOND: u64 = 1_000;
/// As often as the service announces changes at the most.
const BATCHES_PER_SECOND: u64 = 40;

#[derive(Clone, Copy, Debug)]
enum Invalidate {
    Everything,
    WhatChanged,
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement, run by hand"]
async fn hit_ratio_under_changes() {
    println!("| events a second | invalidated | items | lists |");
    println!("| ---: | --- | ---: | ---: |");
    let (one, two, three, four) = tokio::join!(
        measure(10, Invalidate::Everything),
        measure(10, Invalidate::WhatChanged),
        measure(100, Invalidate::Everything),
        measure(100, Invalidate::WhatChanged),
    );
    println!("{one}\n{two}\n{three}\n{four}");
}

async fn measure(events: u64, invalidate: Invalidate) -> String {
    let redis = Redis::start().unwrap();
    let cache = connected(redis.url(), &config(Layer::On)).await;
    let writer = tokio::spawn(change(cache.clone(), events, invalidate));
    let (items, lists) = (Zipf::new(ITEMS as f64, 1.0).unwrap(), Zipf::new(LISTS as f64, 1.0).unwrap());
    let (mut asked, mut hits) = ([0_u64; 2], [0_u64; 2]);
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    let started = Instant::now();
    while started.elapsed() < RUN {
        ticks.tick().await;
        for request in 0..REQUESTS_PER_SECOND / 100 {
            let key = match request % 2 {
                0 => Key::Item(items.sample(&mut rand::rng()) as u64),
                _ => Key::List(lists.sample(&mut rand::rng()).to_string().into()),
            };
            let found = cache.get_or_fill(&key, || ready(Ok(text("x")))).await.unwrap();
            // The first seconds fill the cache.
            if started.elapsed() > RUN / 6 {
                asked[request as usize % 2] += 1;
                hits[request as usize % 2] += u64::from(found.source != Source::Miss);
            }
        }
    }
    writer.abort();
    let [items, lists] = [0, 1].map(|family| 100.0 * hits[family] as f64 / asked[family] as f64);
    format!("| {events} | {invalidate:?} | {items:.1} % | {lists:.1} % |")
}

/// Every product changes equally often.
async fn change(cache: Cache<Text>, events: u64, invalidate: Invalidate) {
    let batches = events.min(BATCHES_PER_SECOND);
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / u32::try_from(batches).unwrap());
    let mut due = 0.0;
    loop {
        ticks.tick().await;
        due += events as f64 / batches as f64;
        let changed: Vec<u64> = (0..due as u64).map(|_| rand::random_range(1..=ITEMS)).collect();
        due -= changed.len() as f64;
        match invalidate {
            Invalidate::Everything => drop(cache.flush().await.unwrap()),
            Invalidate::WhatChanged => cache.invalidate_products(&changed).await.unwrap(),
        }
    }
}
