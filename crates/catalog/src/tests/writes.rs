//! What a batch costs the database: statements, and rows that the storage engine hands to the server.

use farmlokal_testing::TestDatabase;
use sqlx::FromRow as _;

use super::{catalog_config, correlated};
use crate::{Action, Batch, Catalog, CatalogConfig, Draft, Operation, Patch, Price, Written};

/// Its name, the nth operation, and the statements of one and of a thousand.
type Kind = (&'static str, fn(u64) -> Action, [u64; 2]);

fn draft(n: u64) -> Draft {
    let price = Price::from_cents(n).unwrap();
    Draft { name: format!("New {n}"), description: String::new(), category: "odd".to_owned(), price }
}

/// Of the one connection for writes so far.
async fn statements_and_rows(catalog: &Catalog) -> (u64, u64) {
    let mut writer = catalog.write_database.reader().await.unwrap();
    let status =
        "SHOW SESSION STATUS WHERE Variable_name = 'Questions' OR Variable_name LIKE 'Handler\\_read\\_%'";
    let counters = sqlx::raw_sql(status).fetch_all(writer.begin().unwrap()).await.unwrap();
    writer.end();
    let mut sums = (0, 0);
    for counter in &counters {
        let (name, value) = <(String, String)>::from_row(counter).unwrap();
        *(if name == "Questions" { &mut sums.0 } else { &mut sums.1 }) += value.parse::<u64>().unwrap();
    }
    sums
}

#[tokio::test]
async fn a_batch_runs_few_statements_and_reads_its_own_rows() {
    let database = TestDatabase::create().await;
    correlated(&database.pool()).await;
    sqlx::query("ANALYZE TABLE products").fetch_all(&database.pool()).await.unwrap();
    let config = CatalogConfig { write_connections: 1, ..catalog_config() };
    let catalog = Catalog::new(database.options.clone(), &config).unwrap();
    let kinds: [Kind; 4] = [
        ("create", |n| Action::Create(draft(n)), [7, 28]),
        ("put", |n| Action::Put(1 + n * 5, draft(n)), [8, 33]),
        (
            "patch",
            |n| Action::Patch(2 + n * 5, Patch { price: Price::from_cents(n), ..Patch::default() }),
            [8, 33],
        ),
        ("delete", |n| Action::Delete(3 + n * 5), [7, 27]),
    ];
    // Who opens a table first reads its statistics, too.
    for (_, action, _) in kinds {
        let operations = vec![Operation { action: action(0), precondition: None }];
        catalog.write(&Batch { operations, idempotency: None }).await.unwrap();
    }
    for (kind, action, statements) in kinds {
        for (count, statements) in [1, 1_000].into_iter().zip(statements) {
            let operations =
                (0..count).map(|n| Operation { action: action(n + count), precondition: None }).collect();
            let first = statements_and_rows(&catalog).await;
            let before = statements_and_rows(&catalog).await;
            let written = catalog.write(&Batch { operations, idempotency: None }).await.unwrap();
            assert!(matches!(written, Written::New(_)), "{kind} {written:?}");
            let after = statements_and_rows(&catalog).await;
            // To ask raises both.
            let asking = (before.0 - first.0, before.1 - first.1);
            let (ran, read) = (after.0 - before.0 - asking.0, after.1 - before.1 - asking.1);
            assert_eq!(ran, statements, "statements of {count} {kind}");
            assert!(read <= 6 * count + 8, "{read} rows read for {count} {kind}");
        }
    }
}
