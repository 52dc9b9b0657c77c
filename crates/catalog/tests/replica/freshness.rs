//! What is acknowledged is read, wherever that is.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use farmlokal_catalog::{CatalogConfig, ReplicaState};
use farmlokal_testing::catalog_config;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::pair::{Pair, Reader, lag, options, reads, sql, statements};

const WRITERS: u64 = 4;
const READS: u64 = 10_000;

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_replica_that_stops_time_and_again_no_read_is_stale() {
    let pair = Pair::start().await;
    if pair.primary.is_mariadb() {
        // As MySQL does by default: several transactions at a time.
        let parallel = "STOP REPLICA; SET GLOBAL slave_parallel_threads = 8; \
                        SET GLOBAL slave_parallel_mode = 'aggressive'; START REPLICA";
        sql(&pair.replica, parallel).await;
    }
    let (at_replica, behind) = (reads("replica", &[]), reads("primary", &["behind"]));
    let is_running = AtomicBool::new(true);
    let writer = async |writer: u64| {
        let (mut done, mut number) = (0, 0);
        while done < READS / WRITERS {
            number += 1;
            done += pair.reader.change_and_read(writer, number).await;
        }
        done
    };
    let stopping = async {
        while is_running.load(Ordering::Relaxed) {
            pair.stop().await;
            sleep(Duration::from_millis(50)).await;
            pair.go_on().await;
            sleep(Duration::from_millis(200)).await;
        }
    };
    let writing = async {
        let done = tokio::join!(writer(1), writer(2), writer(3), writer(4));
        is_running.store(false, Ordering::Relaxed);
        done.0 + done.1 + done.2 + done.3
    };
    let (done, ()) = tokio::join!(writing, stopping);
    let at_replica = reads("replica", &[]) - at_replica;
    let behind = reads("primary", &["behind"]) - behind;
    println!(
        "{done} reads, none stale: {at_replica} at the replica, {behind} at the primary because it was behind"
    );
    assert!(done >= READS && at_replica > 0 && behind > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_delayed_is_left_alone_until_it_has_caught_up() {
    let pair = Pair::start().await;
    let delay = if pair.primary.is_mariadb() {
        "CHANGE MASTER TO MASTER_DELAY = 3"
    } else {
        "CHANGE REPLICATION SOURCE TO SOURCE_DELAY = 3"
    };
    sql(&pair.replica, &format!("STOP REPLICA; {delay}; START REPLICA")).await;
    let mut number = 0;
    while pair.reader.state() != Some(ReplicaState::Behind) {
        number += 1;
        pair.reader.change_and_read(1, number).await;
    }
    assert!(lag() > 0.0);
    let (at_replica, positions) = (reads("replica", &[]), statements("position"));
    while pair.reader.state() == Some(ReplicaState::Behind) && number < 1_000 {
        number += 1;
        pair.reader.change_and_read(1, number).await;
    }
    assert_eq!(reads("replica", &[]), at_replica);
    // Neither server was asked for what a read beside a replica needs.
    assert_eq!(statements("position"), positions);
    pair.reader.until(ReplicaState::Up).await;
    pair.reader.read().await;
    assert!(reads("replica", &[]) > at_replica);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_has_everything_takes_every_read() {
    let pair = Pair::start().await;
    // A busy machine is no replica that is slow.
    let config = CatalogConfig { replica_timeout: Duration::from_secs(5), ..catalog_config() };
    let reader = Reader::start_with(&config, options(&pair.primary), options(&pair.replica));
    reader.until(ReplicaState::Up).await;
    reader.change_and_read(1, 1).await;
    let mut before;
    // It may be a moment behind that change.
    while {
        before = (reads("replica", &[]), reads("primary", &[]));
        reader.read().await;
        reads("primary", &[]) > before.1
    } {}
    let positions = statements("position");
    for _ in 0..1_000 {
        reader.read().await;
    }
    assert_eq!(reads("replica", &[]) - before.0, 2_002);
    // Who watches the replica does not wait in the queue for reads.
    assert_eq!(statements("position") - positions, 2_000);
    // Nothing says how new an empty answer is.
    let before = reads("primary", &["empty"]);
    assert_eq!(reader.catalog.product(999).await.unwrap(), None);
    assert_eq!(reads("primary", &["empty"]), before + 1);
}

/// The figures of docs/sql.md: `cargo test --test replica share -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "it measures"]
async fn share_of_reads_that_the_replica_serves_under_steady_writes() {
    let pair = Pair::start().await;
    pair.reader.change_and_read(1, 1).await;
    let reader = async |every: Duration, is_running: &AtomicBool| {
        while is_running.load(Ordering::Relaxed) {
            pair.reader.read().await;
            sleep(every).await;
        }
    };
    for a_second in [5, 50, 200] {
        let before = (reads("replica", &[]), reads("primary", &[]));
        let is_running = AtomicBool::new(true);
        let mut ticks = interval(Duration::from_secs(1) / a_second);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let writing = async {
            for number in 0..u64::from(a_second) * 10 {
                ticks.tick().await;
                pair.reader.change(2, u64::from(a_second) * 100_000 + number).await;
            }
            is_running.store(false, Ordering::Relaxed);
        };
        let reading = |milliseconds| reader(Duration::from_millis(milliseconds), &is_running);
        tokio::join!(writing, reading(7), reading(11), reading(13), reading(17));
        let (replica, primary) = (reads("replica", &[]) - before.0, reads("primary", &[]) - before.1);
        println!("{a_second} changes/s: {replica} of {} reads at the replica", replica + primary);
    }
}
