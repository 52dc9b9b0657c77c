//! A replica takes the place of its primary.

use std::time::Duration;

use farmlokal_catalog::ReplicaState;
use tokio::{task::block_in_place, time::sleep};

use crate::{
    name::{Name, Open},
    pair::{Pair, Reader, lag, options, sql},
};

/// The replica is used, and has all changes.
async fn until_caught_up(reader: &Reader) {
    reader.until(ReplicaState::Up).await;
    while reader.state() != Some(ReplicaState::Up) || lag() > 0.0 {
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_takes_the_place_of_the_primary_serves_what_changes_from_then_on() {
    let mut pair = Pair::start().await;
    let name = Name::of(&pair.primary, Open::Cut).await;
    let reader = Reader::start(options(&pair.primary).port(name.port), options(&pair.replica));
    for number in 1..100 {
        reader.change_and_read(1, number).await;
    }
    until_caught_up(&reader).await;
    block_in_place(|| pair.primary.kill9().unwrap());
    // Without a primary nobody knows what a read must see.
    assert!(reader.catalog.product(1).await.is_err());
    sql(&pair.replica, "STOP REPLICA; RESET REPLICA ALL").await;
    name.leads_to.send_replace(pair.replica.port());
    while reader.catalog.ping().await.is_err() {
        sleep(Duration::from_millis(10)).await;
    }
    assert!(reader.catalog.product(1).await.unwrap().is_some());
    for number in 100..200 {
        reader.change_and_read(1, number).await;
    }
    until_caught_up(&reader).await;

    // The primary of before comes back and follows nobody.
    block_in_place(|| pair.primary.start_again().unwrap());
    let behind = Reader::start(options(&pair.replica), options(&pair.primary));
    for number in 200..300 {
        behind.change_and_read(1, number).await;
    }
    behind.until(ReplicaState::Behind).await;
    // With changes that were lost with it.
    sql(&pair.primary, "UPDATE farmlokal.change_counters SET changes = changes + 1000").await;
    behind.until(ReplicaState::Down).await;
    behind.change_and_read(1, 300).await;
}

/// The primary of before lives on, takes no writes and cuts no connection.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_planned_switchover_all_goes_to_the_new_primary() {
    let pair = Pair::start().await;
    let name = Name::of(&pair.primary, Open::Kept).await;
    let reader = Reader::start(options(&pair.primary).port(name.port), options(&pair.replica));
    for number in 1..20 {
        reader.change_and_read(1, number).await;
    }
    let before = reader.catalog.change_position().await.unwrap().sum();
    reader.catalog.ping().await.unwrap();
    sql(&pair.primary, "SET GLOBAL read_only = ON").await;
    until_caught_up(&pair.reader).await;
    sql(&pair.replica, "STOP REPLICA; RESET REPLICA ALL").await;
    name.leads_to.send_replace(pair.replica.port());
    // As the API does each second: once is enough.
    reader.catalog.ping().await.unwrap();
    for number in 20..40 {
        reader.change_and_read(1, number).await;
    }
    assert_eq!(reader.catalog.change_position().await.unwrap().sum(), before + 20);
    let new = Reader::start(options(&pair.replica), options(&pair.replica));
    assert_eq!(new.catalog.categories().await.unwrap(), ["1 39"]);
}

/// The replica of before lives on, and cuts no connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_is_judged_by_the_server_that_its_name_stands_for() {
    let pair = Pair::start().await;
    let other = block_in_place(|| pair.primary.start_replica().unwrap());
    let name = Name::of(&pair.replica, Open::Kept).await;
    let reader = Reader::start(options(&pair.primary), options(&pair.replica).port(name.port));
    reader.until(ReplicaState::Up).await;
    pair.stop().await;
    reader.change_and_read(1, 1).await;
    reader.until(ReplicaState::Behind).await;
    name.leads_to.send_replace(other.port());
    reader.until(ReplicaState::Up).await;
}
