//! `farmlokal-api migrate`

use farmlokal_testing::TestDatabase;

use crate::harness::command;

/// The name may be a typing error.
#[tokio::test]
async fn a_database_that_does_not_exist_is_not_created() {
    let database = TestDatabase::create_empty().await;
    let url = format!("{}_missing", database.url());
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let run = command(directory.path()).arg("migrate").env("DATABASE_URL", &url).output().unwrap();
        assert_eq!(run.status.code(), Some(1));
        let error = String::from_utf8(run.stderr).unwrap();
        assert_eq!(error.trim_end().lines().count(), 1, "{error}");
        for part in ["DB_NAME", "_missing", "CREATE DATABASE"] {
            assert!(error.contains(part), "{error}");
        }
    }
}
