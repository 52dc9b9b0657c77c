//! A fuzzer that somebody else wrote, against our OpenAPI document: [schemathesis](https://schemathesis.readthedocs.io).

use std::process::Command;

use farmlokal_sandbox::Sandbox;
use secrecy::ExposeSecret as _;

use crate::harness::Api;
use crate::writes::fixture::{AUDIENCE, token};

/// Checks that do not fit: a cursor and a search are any text to a schema, and most texts are neither.
const EXCLUDED: &str = "positive_data_acceptance";

/// No answer is a 5xx, and none differs from the document: status, content type, headers, body. The requests depend on the
/// seed only.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs schemathesis: set SCHEMATHESIS to its program; .ci/run does"]
async fn every_answer_is_documented() {
    let fuzzer =
        std::env::var_os("SCHEMATHESIS").expect("SCHEMATHESIS: the path of schemathesis's program st");
    // With everything that it can be configured with: what is not is a 404 only.
    let sandbox = Sandbox::start().await.unwrap();
    let (token_url, api_a_url) = (sandbox.token_url(), sandbox.api_a_url());
    let config = sandbox.config();
    // Writes too.
    let authorization = format!("Authorization: Bearer {}", token(&sandbox, "products:write").await);
    let api = Api::with_products_and(
        200,
        &[
            ("OAUTH_TOKEN_URL", &token_url),
            ("OAUTH_CLIENT_ID", &config.client_id),
            ("OAUTH_CLIENT_SECRET", config.client_secret.expose_secret()),
            ("OAUTH_AUDIENCE", "https://partner.test"),
            ("API_A_URL", &api_a_url),
            ("WEBHOOK_ALLOW_UNSIGNED", "true"),
            ("AUTH_ISSUER", sandbox.issuer()),
            ("AUTH_AUDIENCE", AUDIENCE),
        ],
    )
    .await;
    let directory = tempfile::tempdir().unwrap();
    let document = api.url("/openapi.json");
    let status = tokio::task::spawn_blocking(move || {
        Command::new(fuzzer)
            .current_dir(directory.path())
            .args(["run", &document, "--checks", "all", "--exclude-checks", EXCLUDED, "--seed", "1"])
            .args(["--phases", "examples,coverage,fuzzing", "--max-examples", "200", "--max-time", "60"])
            .args(["--header", &authorization])
            .args(["--request-timeout", "20", "--continue-on-failure", "--warnings", "off"])
            .status()
    });
    assert!(status.await.unwrap().unwrap().success(), "see above what it found");
    for operation in ["create", "put", "patch", "delete", "batch"] {
        let labels = [&*format!("operation=\"{operation}\""), "outcome=\"applied\""];
        let applied = api.metric("farmlokal_writes_total", &labels).await;
        assert!(applied > 0.0, "no {operation} of it took effect");
    }
}
