//! A replica that is gone, stands still or refuses: reads go on at the primary.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use farmlokal_catalog::ReplicaState;
use farmlokal_devstack::Database;
use sqlx::{Connection as _, MySqlConnection};
use tokio::{task::block_in_place, time::sleep};

use crate::{
    name::{Name, Open},
    pair::{Pair, Reader, lag, options, reads, sql},
};

/// Reads without pause until it comes to this state; every one is answered.
async fn read_until(reader: &Reader, wanted: ReplicaState) {
    let readers = async || {
        while reader.state() != Some(wanted) {
            Box::pin(reader.read()).await;
        }
    };
    tokio::join!(readers(), readers(), readers(), readers(), readers(), readers(), reader.until(wanted));
    for _ in 0..100 {
        reader.read().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_killed_or_stands_still_under_load_costs_no_read() {
    let mut pair = Pair::start().await;
    pair.reader.change_and_read(1, 1).await;
    for _ in 0..100 {
        pair.reader.read().await;
    }
    block_in_place(|| pair.replica.kill9().unwrap());
    read_until(&pair.reader, ReplicaState::Down).await;
    while !lag().is_nan() {
        sleep(Duration::from_millis(10)).await;
    }
    block_in_place(|| pair.replica.start_again().unwrap());
    read_until(&pair.reader, ReplicaState::Up).await;
    pair.replica.pause().unwrap();
    read_until(&pair.reader, ReplicaState::Down).await;
    pair.replica.resume().unwrap();
    read_until(&pair.reader, ReplicaState::Up).await;
    // What changed meanwhile is seen as ever.
    pair.reader.change_and_read(1, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_slow_or_refuses_costs_no_read() {
    let pair = Pair::start().await;
    pair.reader.change_and_read(1, 1).await;
    let failed = reads("primary", &["failed"]);
    let mut locking = MySqlConnection::connect_with(&options(&pair.replica)).await.unwrap();
    sqlx::raw_sql("LOCK TABLES products WRITE").execute(&mut locking).await.unwrap();
    read_until(&pair.reader, ReplicaState::Down).await;
    // It stays so, since it is looked at as it is read.
    sleep(Duration::from_secs(2)).await;
    assert_eq!(pair.reader.state(), Some(ReplicaState::Down));
    sqlx::raw_sql("UNLOCK TABLES").execute(&mut locking).await.unwrap();
    read_until(&pair.reader, ReplicaState::Up).await;
    // As one that is not migrated yet.
    sql(&pair.replica, "RENAME TABLE farmlokal.products TO farmlokal.others").await;
    read_until(&pair.reader, ReplicaState::Down).await;
    sql(&pair.replica, "RENAME TABLE farmlokal.others TO farmlokal.products").await;
    read_until(&pair.reader, ReplicaState::Up).await;
    assert!(reads("primary", &["failed"]) > failed);
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_may_commit_in_another_order_are_found() {
    let pair = Pair::start().await;
    if pair.primary.is_mariadb() {
        return;
    }
    for (number, server) in [&pair.primary, &pair.replica].into_iter().enumerate() {
        sql(server, "SET GLOBAL binlog_order_commits = OFF").await;
        pair.reader.until(ReplicaState::Down).await;
        pair.reader.change_and_read(1, number as u64).await;
        sql(server, "SET GLOBAL binlog_order_commits = ON").await;
        pair.reader.until(ReplicaState::Up).await;
    }
    let order =
        "STOP REPLICA SQL_THREAD; SET GLOBAL replica_preserve_commit_order = OFF; START REPLICA SQL_THREAD";
    sql(&pair.replica, order).await;
    pair.reader.until(ReplicaState::Down).await;
    pair.reader.change_and_read(1, 9).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_was_never_there_costs_no_read() {
    let pair = Pair::start().await;
    pair.reader.change_and_read(1, 1).await;
    let port = farmlokal_devstack::free_port().unwrap();
    let nowhere = Reader::start(options(&pair.primary), options(&pair.replica).port(port));
    let wrong = Reader::start(options(&pair.primary), options(&pair.replica).password("wrong"));
    // Its changes are no part of the primary's.
    let other = block_in_place(|| Database::start().unwrap());
    farmlokal_catalog::migrate(options(&other)).await.unwrap();
    sql(&other, "INSERT INTO change_counters VALUES (0, 1000)").await;
    let other = Reader::start(options(&pair.primary), options(&other));
    for (number, reader) in [&nowhere, &wrong, &other].into_iter().enumerate() {
        reader.read().await;
        read_until(reader, ReplicaState::Down).await;
        reader.change_and_read(1, 2 + number as u64).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_takes_too_long_leaves_the_replica_to_others() {
    let pair = Pair::start().await;
    let name = Name::of(&pair.replica, Open::Silent).await;
    let reader = Reader::start(options(&pair.primary), options(&pair.replica).port(name.port));
    reader.change_and_read(1, 1).await;
    reader.until(ReplicaState::Up).await;
    // Others have read in this process, too: it is about this reader's own connection.
    let before = reads("replica", &[]);
    while reads("replica", &[]) == before {
        reader.read().await;
    }
    let late = reads("primary", &["late"]);
    name.leads_to.send_replace(pair.replica.port());
    while reads("primary", &["late"]) == late {
        reader.read().await;
        assert_eq!(reader.state(), Some(ReplicaState::Up));
    }
}

/// As of a former primary: fewer than the changes of a second, so that their sum tells nothing.
#[tokio::test(flavor = "multi_thread")]
async fn changes_that_the_replica_alone_has_are_found_among_many_others() {
    let pair = Pair::start().await;
    let is_found = AtomicBool::new(false);
    let writing = async {
        let mut number = 0;
        while !is_found.load(Ordering::Relaxed) {
            number += 1;
            pair.reader.change(1, number).await;
        }
    };
    let finding = async {
        sleep(Duration::from_secs(1)).await;
        sql(&pair.replica, "INSERT INTO change_counters VALUES (63, 2)").await;
        pair.reader.until(ReplicaState::Down).await;
        is_found.store(true, Ordering::Relaxed);
    };
    tokio::join!(writing, finding);
}
