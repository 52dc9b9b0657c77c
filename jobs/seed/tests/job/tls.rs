//! Servers that take nothing but TLS of a private CA, and want a client's certificate.

use farmlokal_devstack::{Authority, Database, Redis};
use sqlx::mysql::{MySqlConnectOptions, MySqlPool, MySqlSslMode};

use crate::running::{ROWS, catalogue_in, job_on, run};

#[tokio::test]
async fn products_are_seeded_and_the_cache_is_flushed() {
    let authority = Authority::create().unwrap();
    let client = authority.client();
    let database = Database::start_with_tls(authority.server()).unwrap();
    let redis = Redis::start_with_tls(authority.server()).unwrap();
    let options: MySqlConnectOptions = database.url().parse().unwrap();
    let options = options.ssl_mode(MySqlSslMode::VerifyIdentity).ssl_ca(&client.ca);
    let options = options.ssl_client_cert(&client.cert).ssl_client_key(&client.key);
    farmlokal_catalog::migrate(options.clone()).await.unwrap();

    let mut job = job_on(&database.url());
    job.env("SEED_NO_FLUSH", "false").env("REDIS_PORT", redis.port().to_string());
    let other = Authority::create().unwrap();
    job.envs(client.settings("REDIS_TLS")).envs(other.client().some_settings("REDIS_TLS", &["KEY"]));
    // Before it looks at the database.
    run(&mut job).expect_failure("REDIS_TLS_KEY is not the key of REDIS_TLS_CERT");
    job.envs(client.settings("REDIS_TLS"));
    run(&mut job).expect_failure("see DB_USER, DB_PASS or DB_TLS_CERT");
    job.envs(client.settings("DB_TLS"));
    run(&mut job).expect_success();
    assert_eq!(catalogue_in(MySqlPool::connect_lazy_with(options)).await.rows, ROWS);

    // What was not flushed is an error, once everything is seeded.
    job.env("SEED", "2").env("SEED_REPLACE", "true").env_remove("REDIS_TLS_CERT").env_remove("REDIS_TLS_KEY");
    run(&mut job).expect_failure("see REDIS_TLS_CERT");
}
