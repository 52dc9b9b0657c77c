//! A replica takes the place of its primary.

use std::time::Duration;

use farmlokal_catalog::ReplicaState;
use farmlokal_devstack::Database;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::block_in_place,
    time::sleep,
};

use crate::pair::{Pair, Reader, lag, options, sql};

/// What clients know of the primary: an address that leads to whichever server it is now.
struct Name {
    port: u16,
    leads_to: watch::Sender<u16>,
}

/// What becomes of connections when a name leads to another server.
#[derive(Clone, Copy, PartialEq)]
enum Open {
    Cut,
    Kept,
}

impl Name {
    async fn of(database: &Database, open: Open) -> Name {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (leads_to, target) = watch::channel(database.port());
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut target = target.clone();
                tokio::spawn(async move {
                    let port = *target.borrow_and_update();
                    let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
                    tokio::select! {
                        _ = copy_bidirectional(&mut client, &mut server) => {}
                        _ = target.changed(), if open == Open::Cut => {}
                    }
                });
            }
        });
        Name { port, leads_to }
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
    reader.until(ReplicaState::Up).await;
    while lag() > 0 {
        sleep(Duration::from_millis(10)).await;
    }
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
    reader.until(ReplicaState::Up).await;
    while lag() > 0 {
        sleep(Duration::from_millis(10)).await;
    }

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
    sql(&pair.primary, "SET GLOBAL read_only = ON").await;
    reader.catalog.ping().await.unwrap();
    while pair.reader.state() != Some(ReplicaState::Up) || lag() > 0 {
        sleep(Duration::from_millis(10)).await;
    }
    sql(&pair.replica, "STOP REPLICA; RESET REPLICA ALL").await;
    name.leads_to.send_replace(pair.replica.port());
    // As the API does each second.
    reader.catalog.ping().await.unwrap();
    for number in 20..40 {
        reader.change_and_read(1, number).await;
    }
    assert_eq!(reader.catalog.change_position().await.unwrap().sum(), before + 20);
    let new = Reader::start(options(&pair.replica), options(&pair.replica));
    assert_eq!(new.catalog.categories().await.unwrap(), ["1 39"]);
}
