//! What each operation does, alone and among others.

use std::{collections::BTreeMap, time::Duration};

use farmlokal_catalog::{
    Action, Batch, Catalog, Change, ChangePosition, Changes, Done, MAX_PRODUCT_ID, Patch, Precondition,
    Product, Pruned, Refusal, Written, bulk,
};
use farmlokal_testing::TestDatabase;

use crate::{batch, catalog, count, done, draft, event, only_if, price, stored, with_key};

#[tokio::test]
async fn each_operation_is_stored_and_answered_as_it_was_stored() {
    let database = TestDatabase::create().await;
    let catalog = catalog(&database);
    let created = stored(&catalog, Action::Create(draft("Racket", 950))).await;
    assert_eq!(catalog.product(created.id).await.unwrap().as_ref(), Some(&created));
    assert_eq!((created.name.as_str(), created.category.as_str()), ("Racket", "sports"));
    assert_eq!((created.price, created.created_at), (price(950), created.updated_at));

    // So that a change shows in its time.
    tokio::time::sleep(Duration::from_millis(2)).await;
    let replaced = done(&catalog, &batch([Action::Put(created.id, draft("Bat", 1))])).await;
    let [Done::Replaced(replaced)] = &replaced[..] else { panic!("{replaced:?}") };
    assert_eq!((replaced.name.as_str(), replaced.created_at), ("Bat", created.created_at));
    assert!(replaced.updated_at > created.updated_at);
    let patch = Patch { price: Some(price(2)), description: Some(String::new()), ..Patch::default() };
    let patched = done(&catalog, &batch([Action::Patch(created.id, patch)])).await;
    let [Done::Patched(patched)] = &patched[..] else { panic!("{patched:?}") };
    let expected = Product {
        price: price(2),
        description: String::new(),
        updated_at: patched.updated_at,
        ..replaced.clone()
    };
    assert_eq!(patched, &expected);
    assert_eq!(catalog.product(created.id).await.unwrap().as_ref(), Some(patched));

    let put = done(&catalog, &batch([Action::Put(4_000, draft("Net", 3))])).await;
    assert!(matches!(&put[..], [Done::Created(product)] if product.id == 4_000), "{put:?}");
    let deleted = done(&catalog, &batch([Action::Delete(created.id)])).await;
    assert_eq!(deleted, [Done::Deleted(created.id)]);
    assert_eq!(catalog.product(created.id).await.unwrap(), None);
    assert_eq!(stored(&catalog, Action::Create(draft("Next", 1))).await.id, 4_001);
}

#[tokio::test]
async fn one_bad_operation_changes_nothing_and_every_bad_one_is_named() {
    let database = TestDatabase::create().await;
    let catalog = catalog(&database);
    let there = stored(&catalog, Action::Put(7, draft("There", 1))).await;
    let before = catalog.change_position().await.unwrap();
    let mut bad = batch([
        Action::Create(draft("New", 1)),
        Action::Patch(9, Patch::default()),
        Action::Put(7, draft("Other", 1)),
        Action::Delete(5),
        Action::Put(8, draft("New", 2)),
    ]);
    bad.operations[2].precondition = Some(Box::new(|product| product.is_none()));
    // Of what is not there, whatever the precondition says.
    bad.operations[3].precondition = Some(Box::new(|_| false));
    let refused = Written::Refused(vec![
        (1, Refusal::NotFound),
        (2, Refusal::PreconditionFailed),
        (3, Refusal::NotFound),
    ]);
    assert_eq!(catalog.write(&bad).await.unwrap(), refused);
    assert_eq!(catalog.product(7).await.unwrap(), Some(there));
    assert_eq!((count(&database, "products").await, count(&database, "product_versions").await), (1, 1));
    assert_eq!(catalog.change_position().await.unwrap(), before);
}

#[tokio::test]
async fn a_precondition_sees_the_product_as_it_is() {
    let database = TestDatabase::create().await;
    let catalog = catalog(&database);
    let exists = || -> Precondition { Box::new(|product| product.is_some()) };
    let missing = || -> Precondition { Box::new(|product| product.is_none()) };
    let put = || Action::Put(7, draft("Ball", 1));
    let failed = Written::Refused(vec![(0, Refusal::PreconditionFailed)]);
    assert_eq!(catalog.write(&only_if(put(), exists())).await.unwrap(), failed);
    done(&catalog, &only_if(put(), missing())).await;
    assert_eq!(catalog.write(&only_if(put(), missing())).await.unwrap(), failed);
    done(&catalog, &only_if(put(), exists())).await;
    let seen = catalog.product(7).await.unwrap().unwrap();
    let as_seen = || -> Precondition {
        let seen = seen.clone();
        Box::new(move |product| product == Some(&seen))
    };
    done(
        &catalog,
        &only_if(Action::Patch(7, Patch { price: Some(price(2)), ..Patch::default() }), as_seen()),
    )
    .await;
    for action in [put(), Action::Patch(7, Patch::default()), Action::Delete(7)] {
        assert_eq!(catalog.write(&only_if(action, as_seen())).await.unwrap(), failed);
    }
}

async fn products_since(
    catalog: &Catalog,
    seen: &ChangePosition,
) -> (ChangePosition, BTreeMap<u64, Option<Product>>) {
    let Changes::Products(now, changed) = catalog.changes_since(seen).await.unwrap() else { panic!() };
    (now, changed.into_iter().map(|(id, row)| (id, row.map(|row| row.product))).collect())
}

#[tokio::test]
async fn the_largest_batch_is_answered_in_order_and_told_as_one_change() {
    let database = TestDatabase::create().await;
    let catalog = catalog(&database);
    let ids = 1..=600;
    done(&catalog, &batch(ids.clone().map(|id| Action::Put(id, draft("Old", id))))).await;
    let (before, all) = products_since(&catalog, &ChangePosition::default()).await;
    assert_eq!((before.sum(), all.len()), (1, 600));

    // In no order, and a create between every two.
    let mixed = ids.clone().map(|nth| {
        let id = 1 + nth * 7 % 601 % 600;
        match nth % 3 {
            0 => Action::Put(id, draft("New", nth)),
            1 => Action::Patch(id, Patch { price: Some(price(nth)), ..Patch::default() }),
            _ => Action::Delete(id),
        }
    });
    let mut actions: Vec<_> = mixed.collect();
    let mut seen = std::collections::HashSet::new();
    actions.retain(|action| action.product().is_none_or(|id| seen.insert(id)));
    let changed = actions.len();
    for nth in 0..Batch::MAX_OPERATIONS - changed {
        actions.insert(nth * 2, Action::Create(draft(&format!("Created {nth}"), nth as u64)));
    }
    let done = done(&catalog, &batch(actions.clone())).await;
    assert_eq!((done.len(), actions.len()), (1_000, 1_000));
    let (now, told) = products_since(&catalog, &before).await;
    assert_eq!((now.sum(), told.len()), (2, 1_000));
    let mut created = Vec::new();
    for (action, done) in actions.iter().zip(&done) {
        let product = told[&done.product()].as_ref();
        match (action, done) {
            (Action::Create(draft), Done::Created(new)) => {
                assert_eq!((&new.name, new.price, Some(new)), (&draft.name, draft.price, product));
                created.push(new.id);
            }
            (Action::Put(id, draft), Done::Replaced(new)) => {
                assert_eq!(
                    (*id, &new.name, new.price, Some(new)),
                    (new.id, &draft.name, draft.price, product)
                );
            }
            (Action::Patch(id, patch), Done::Patched(new)) => {
                assert_eq!((*id, "Old", patch.price), (new.id, new.name.as_str(), Some(new.price)));
                assert_eq!(Some(new), product);
            }
            (Action::Delete(id), Done::Deleted(gone)) => assert_eq!((id, None), (gone, product)),
            other => panic!("{other:?}"),
        }
    }
    assert!(created.is_sorted() && created[0] == 601);
    assert_eq!(products_since(&catalog, &now).await.1, BTreeMap::new());
}

#[tokio::test]
async fn an_id_is_given_once() {
    let database = TestDatabase::create().await;
    let catalog = catalog(&database);
    let create = async || stored(&catalog, Action::Create(draft("Ball", 1))).await.id;
    assert_eq!([create().await, create().await], [1, 2]);
    done(&catalog, &batch([Action::Delete(2)])).await;
    assert_eq!(create().await, 3);

    // A seed run, killed before it told anybody, and again.
    for _ in 0..2 {
        let mut load = bulk::Load::begin(database.options.clone(), Duration::ZERO).await.unwrap();
        load.finish().await.unwrap();
        load.stage("two rows").await.unwrap();
        let rows: Vec<_> = [1, 2].map(product).into();
        load.insert(bulk::Batch::encode(&rows).unwrap()).await.unwrap();
        load.add_indexes().await.unwrap();
        load.swap().await.unwrap();
        load.close().await.unwrap();
    }
    assert_eq!(catalog.product(3).await.unwrap(), None);
    let after = create().await;
    assert!(after > 3, "{after}");

    // A partner may use the last id.
    catalog.apply(&event("last", MAX_PRODUCT_ID, Change::Upsert(draft("Last", 1)))).await.unwrap();
    let late = batch([Action::Put(9, draft("Nine", 1)), Action::Create(draft("Late", 1))]);
    assert_eq!(catalog.write(&late).await.unwrap(), Written::Refused(vec![(1, Refusal::NoIdLeft)]));
    assert_eq!(catalog.product(9).await.unwrap(), None);
}

fn product(id: u64) -> Product {
    let (created_at, draft) = (chrono::DateTime::UNIX_EPOCH, draft("Seeded", id));
    Product {
        id,
        name: draft.name,
        description: draft.description,
        category: draft.category,
        price: draft.price,
        created_at,
        updated_at: created_at,
    }
}

#[tokio::test]
async fn keys_are_forgotten_after_a_day_by_index() {
    let database = TestDatabase::create().await;
    let catalog = catalog(&database);
    let pool = database.pool();
    for key in 0..40 {
        done(&catalog, &with_key(key, 1, [Action::Put(1, draft("Ball", 1))])).await;
    }
    let age = "UPDATE idempotency_keys SET created_at = created_at - INTERVAL 1441 MINUTE \
               ORDER BY key_hash LIMIT 25";
    sqlx::query(age).execute(&pool).await.unwrap();
    let day = Duration::from_hours(24);
    assert_eq!(catalog.prune(day, 15).await.unwrap(), Pruned { events: 0, versions: 0, keys: 15 });
    assert_eq!(catalog.prune(day, 15).await.unwrap(), Pruned { events: 0, versions: 0, keys: 10 });
    assert_eq!(catalog.prune(day, 15).await.unwrap(), Pruned { events: 0, versions: 0, keys: 0 });
    assert_eq!(count(&database, "idempotency_keys").await, 15);
}
