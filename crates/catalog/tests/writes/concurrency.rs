//! Writers that meet.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use farmlokal_catalog::{Action, CatalogConfig, Error, Patch, Refusal, Written};
use farmlokal_testing::{TestDatabase, catalog_config};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{batch, catalog, done, draft, only_if, price};

/// Each adds one to the price of a product as it has seen it.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_conditional_writers_of_few_products_lose_no_update() {
    const WRITERS: u64 = 10_000;
    const PRODUCTS: u64 = 16;
    let database = TestDatabase::create().await;
    let catalog = database.catalog(&CatalogConfig { write_connections: 4, ..catalog_config() });
    done(&catalog, &batch((1..=PRODUCTS).map(|id| Action::Put(id, draft("Ball", 0))))).await;
    let (permits, late) = (Arc::new(Semaphore::new(48)), Arc::new(AtomicU64::new(0)));
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (catalog, permits, late) = (catalog.clone(), Arc::clone(&permits), Arc::clone(&late));
        writers.spawn(async move {
            let _permit = permits.acquire().await.unwrap();
            loop {
                let seen = catalog.product(1 + writer % PRODUCTS).await.unwrap().unwrap();
                let new = Patch { price: Some(price(seen.price.cents() + 1)), ..Patch::default() };
                let action = Action::Patch(seen.id, new);
                match catalog.write(&only_if(action, Box::new(move |product| product == Some(&seen)))).await {
                    Ok(Written::New(_)) => return,
                    Ok(Written::Refused(why)) => assert_eq!(why, [(0, Refusal::PreconditionFailed)]),
                    // The admission queue, as a client meets it.
                    Err(Error::Busy) => {}
                    other => panic!("{other:?}"),
                }
                late.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    writers.join_all().await;
    let mut sum = 0;
    for id in 1..=PRODUCTS {
        sum += catalog.product(id).await.unwrap().unwrap().price.cents();
    }
    assert_eq!((sum, catalog.change_position().await.unwrap().sum()), (WRITERS, WRITERS + 1));
    assert!(late.load(Ordering::Relaxed) > 0, "nobody met another");
}

/// Batches that name the same products in other orders, and events among them.
#[tokio::test(flavor = "multi_thread")]
async fn batches_that_overlap_all_get_through() {
    let database = TestDatabase::create().await;
    let catalog = catalog(&database);
    // So that none of their ids is given to another.
    done(&catalog, &batch((1..=20).map(|id| Action::Put(id, draft("Ball", 0))))).await;
    let mut writers = JoinSet::new();
    for writer in 0..8_u64 {
        let catalog = catalog.clone();
        writers.spawn(async move {
            for round in 0..25_u64 {
                let number = writer * 25 + round;
                let ids = (0..10).map(|nth| 1 + (number * 13 + nth * 7) % 20);
                let mut all = batch(ids.map(|id| Action::Put(id, draft("Ball", number))));
                all.operations.push(batch([Action::Create(draft("New", number))]).operations.remove(0));
                done(&catalog, &all).await;
                let change = farmlokal_catalog::Change::Upsert(draft("Event", number));
                catalog.apply(&crate::event(format!("e{number}"), 1 + number % 20, change)).await.unwrap();
            }
        });
    }
    writers.join_all().await;
    assert_eq!(crate::count(&database, "products").await, 20 + 200);
}
