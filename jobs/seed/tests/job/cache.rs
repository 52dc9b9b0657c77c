//! The cache is flushed when the new products are there, or the run says that it was not.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

use farmlokal_devstack::Redis;
use farmlokal_testing::TestDatabase;

use crate::running::{catalogue, job, run};

fn flushing_job(database: &TestDatabase, redis_url: &str) -> Command {
    let mut command = job(database);
    command.env("SEED_NO_FLUSH", "false").env("REDIS_URL", redis_url);
    command
}

/// Sends one command, and returns the first line of the answer.
fn redis(port: u16, command: &str) -> String {
    let mut connection = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(connection, "{command}\r\nQUIT\r\n").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer.lines().next().unwrap().to_owned()
}

#[tokio::test]
async fn a_cached_list_is_gone_after_seeding() {
    let database = TestDatabase::create().await;
    let server = Redis::start().unwrap();
    assert_eq!(redis(server.port(), "SET products:{0}:list:old stale"), "+OK");
    assert_eq!(redis(server.port(), "SET other kept"), "+OK");
    run(&mut flushing_job(&database, &server.url())).expect_success();
    assert_eq!(redis(server.port(), "EXISTS products:{0}:list:old"), ":0");
    assert_eq!(redis(server.port(), "EXISTS other"), ":1");
}

#[tokio::test]
async fn without_redis_the_products_are_seeded_and_the_missing_flush_is_an_error() {
    let database = TestDatabase::create().await;
    let mut server = Redis::start().unwrap();
    assert_eq!(redis(server.port(), "SET products:{0}:list:old stale"), "+OK");
    server.stop().unwrap();
    let failed = run(&mut flushing_job(&database, &server.url()));
    failed.expect_failure("flush the cache");
    assert_eq!(failed.stderr.matches("onnection refused").count(), 1, "its cause once: {}", failed.stderr);
    let warnings: Vec<_> = failed.stdout.lines().filter(|line| line.contains("\"WARN\"")).collect();
    assert_eq!(warnings.len(), 1, "one line for one outage: {warnings:#?}");
    assert!(
        failed.stdout.lines().next().unwrap().contains("Redis cannot be reached"),
        "before anything is loaded"
    );
    assert_eq!(warnings[0].matches("onnection refused").count(), 1, "with its cause: {warnings:?}");
    assert!(catalogue(&database).await.rows > 0);

    server.start_again().unwrap();
    assert_eq!(redis(server.port(), "SET products:{0}:list:old stale"), "+OK");
    run(&mut flushing_job(&database, &server.url())).expect_success();
    assert_eq!(redis(server.port(), "EXISTS products:{0}:list:old"), ":0", "the next run flushes");
    assert_eq!(
        catalogue(&database).await.tables,
        [
            "_sqlx_migrations",
            "change_counters",
            "idempotency_keys",
            "product_versions",
            "products",
            "search_index",
            "webhook_events"
        ]
    );
}

/// The wrong password is not in the line that says that it is wrong.
#[tokio::test]
async fn a_redis_that_refuses_the_password_is_a_warning_at_the_start() {
    let database = TestDatabase::create().await;
    let server = Redis::start().unwrap();
    let url = server.url().replace("redis://", "redis://nobody:hunter2@");
    let failed = run(&mut flushing_job(&database, &url));
    failed.expect_failure("flush the cache");
    let first = failed.stdout.lines().next().unwrap();
    assert!(first.contains("\"WARN\"") && first.contains("authentication failed"), "{first}");
    assert!(!failed.stdout.contains("hunter2") && !failed.stderr.contains("hunter2"));
}
