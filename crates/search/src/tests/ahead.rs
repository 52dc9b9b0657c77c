//! Rows of a read replica that has a change before the primary has committed it.

use farmlokal_catalog::{Action, Batch, Catalog, Draft, Operation};
use farmlokal_testing::{TestDatabase, catalog_config};
use tokio::task::JoinSet;

use super::*;
use crate::{Search, SearchStatus, follower::Behind, search::Backend};

#[tokio::test]
async fn rows_that_are_newer_than_the_primary_are_not_taken_for_those_of_an_index() {
    let database = TestDatabase::create().await;
    let catalog = Catalog::new(database.options.clone(), &catalog_config()).unwrap();
    let config = config("");
    let search = Search::with_engine(catalog.clone(), TantivyEngine::new(&config), &config);
    let Backend::Embedded(follower) = &search.backend else { unreachable!() };
    let mut tasks = JoinSet::new();
    search.spawn(&mut tasks);
    while search.status() != SearchStatus::Ready {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (name, price) = ("Ball".to_owned(), Price::from_cents(1).unwrap());
    let draft = Draft { name, description: String::new(), category: "sports".to_owned(), price };
    let operation = Operation { action: Action::Put(1, draft), precondition: None };
    catalog.write(&Batch { operations: vec![operation], idempotency: None }).await.unwrap();
    for (database, is_known) in [(1, true), (2, false)] {
        // Another product has changed.
        let behind = Behind { index: 0, database, products: vec![2] };
        assert_eq!(follower.catch_up(Some(behind)).await.unwrap(), is_known);
    }
}
