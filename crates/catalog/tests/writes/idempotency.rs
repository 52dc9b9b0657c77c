//! A batch that is sent again.

use farmlokal_catalog::{Action, Patch, Refusal, Written};
use farmlokal_testing::TestDatabase;

use crate::{catalog, count, done, draft, with_key};

fn create(key: u8) -> farmlokal_catalog::Batch {
    with_key(key, 1, [Action::Create(draft("Ball", 1)), Action::Put(70, draft("Bat", 2))])
}

#[tokio::test]
async fn the_same_request_gets_the_first_answer_and_does_nothing() {
    let database = TestDatabase::create().await;
    let catalog = catalog(&database);
    let first = done(&catalog, &create(1)).await;
    done(&catalog, &with_key(2, 1, [Action::Delete(70)])).await;
    assert_eq!(catalog.write(&create(1)).await.unwrap(), Written::Again(first.clone()));
    assert_eq!(catalog.product(70).await.unwrap(), None);
    let other = with_key(1, 2, [Action::Create(draft("Other", 1))]);
    assert_eq!(catalog.write(&other).await.unwrap(), Written::Conflict);
    assert_eq!((count(&database, "products").await, catalog.change_position().await.unwrap().sum()), (1, 2));
    assert_eq!(catalog.write(&create(1)).await.unwrap(), Written::Again(first));
}

#[tokio::test]
async fn a_precondition_that_no_longer_holds_is_not_asked_again() {
    let database = TestDatabase::create().await;
    let catalog = catalog(&database);
    let only_new = || {
        let mut batch = with_key(1, 1, [Action::Put(7, draft("Ball", 1))]);
        batch.operations[0].precondition = Some(Box::new(|product| product.is_none()));
        batch
    };
    let first = done(&catalog, &only_new()).await;
    assert_eq!(catalog.write(&only_new()).await.unwrap(), Written::Again(first));
}

#[tokio::test]
async fn what_was_refused_leaves_its_key_free() {
    let database = TestDatabase::create().await;
    let catalog = catalog(&database);
    let patch = || with_key(1, 1, [Action::Patch(7, Patch::default())]);
    assert_eq!(catalog.write(&patch()).await.unwrap(), Written::Refused(vec![(0, Refusal::NotFound)]));
    assert_eq!(count(&database, "idempotency_keys").await, 0);
    done(&catalog, &with_key(2, 1, [Action::Put(7, draft("Ball", 1))])).await;
    done(&catalog, &patch()).await;
}

#[tokio::test]
async fn a_key_in_flight_is_said_to_be_at_once_and_free_when_its_holder_is_gone() {
    let database = TestDatabase::create().await;
    let catalog = catalog(&database);
    let pool = database.pool();
    let mut held = pool.begin().await.unwrap();
    sqlx::query("INSERT INTO idempotency_keys (key_hash, request_hash, done) VALUES (?, ?, '')")
        .bind(&[1; 32][..])
        .bind(&[1; 32][..])
        .execute(&mut *held)
        .await
        .unwrap();
    assert_eq!(catalog.write(&create(1)).await.unwrap(), Written::InFlight);
    held.rollback().await.unwrap();
    done(&catalog, &create(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_one_takes_effect() {
    let database = TestDatabase::create().await;
    let catalog = catalog(&database);
    for key in 0..10 {
        let calls: Vec<_> = (0..50)
            .map(|_| {
                let catalog = catalog.clone();
                tokio::spawn(async move {
                    catalog.write(&with_key(key, 1, [Action::Create(draft("Ball", 1))])).await.unwrap()
                })
            })
            .collect();
        let (mut first, mut again) = (Vec::new(), Vec::new());
        for call in calls {
            match call.await.unwrap() {
                Written::New(done) => first.push(done),
                Written::Again(done) => again.push(done),
                Written::InFlight => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(first.len(), 1);
        assert!(again.iter().all(|done| *done == first[0]));
    }
    assert_eq!(count(&database, "products").await, 10);
}
