//! A start without Redis or the API server.

use std::time::Duration;

use farmlokal_devstack::{Authority, Redis};

use crate::process::{Controller, eventually, unreachable_api_server};

/// The lines of warnings that have this text.
fn warnings(controller: &Controller, text: &str) -> Vec<String> {
    let log = controller.log();
    let lines = log.lines().filter(|line| line.to_lowercase().contains("\"warn\"") && line.contains(text));
    lines.map(str::to_owned).collect()
}

#[tokio::test]
async fn what_was_never_reached_is_one_warning_with_its_cause() {
    let directory = tempfile::tempdir().unwrap();
    let kubeconfig = unreachable_api_server(directory.path());
    let kubeconfig = kubeconfig.to_str().unwrap();
    let settings = [("KUBECONFIG", kubeconfig), ("REDIS_URL", "redis://:hunter2@127.0.0.1:1")];
    let mut controller = Controller::start(&settings);
    let (redis, api) = ("Redis cannot be reached", "the lease cannot be read or written");
    for part in [redis, api] {
        eventually(part, async || !warnings(&controller, part).is_empty()).await;
    }
    // Many attempts later.
    tokio::time::sleep(Duration::from_secs(2)).await;
    for part in [redis, api] {
        let lines = warnings(&controller, part);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains("Connection refused"), "{lines:?}");
    }
    assert!(!controller.log().contains("hunter2"));
    assert!(controller.terminate().await.success());
}

#[tokio::test]
async fn a_redis_that_refuses_is_one_warning_with_its_words() {
    let directory = tempfile::tempdir().unwrap();
    let kubeconfig = unreachable_api_server(directory.path());
    let redis = Redis::start().unwrap();
    for (suffix, cause) in [("/99", "DB index is out of range"), ("/0", "")] {
        let url = redis.url().trim_end_matches("/0").trim_end_matches('/').to_owned() + suffix;
        let settings = [("KUBECONFIG", kubeconfig.to_str().unwrap()), ("REDIS_URL", &url)];
        let controller = Controller::start(&settings);
        if cause.is_empty() {
            eventually("it tried", async || !warnings(&controller, "the lease").is_empty()).await;
            tokio::time::sleep(Duration::from_millis(300)).await;
            assert!(warnings(&controller, "Redis").is_empty(), "{}", controller.log());
        } else {
            eventually(cause, async || !warnings(&controller, cause).is_empty()).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(warnings(&controller, "Redis").len(), 1, "{}", controller.log());
        }
    }
}

/// With TLS of a private CA, and a client's certificate.
#[tokio::test]
async fn a_redis_that_does_not_trust_us_is_one_warning_that_names_the_setting() {
    let directory = tempfile::tempdir().unwrap();
    let kubeconfig = unreachable_api_server(directory.path());
    let authority = Authority::create().unwrap();
    let redis = Redis::start_with_tls(authority.server()).unwrap();
    let port = redis.port().to_string();
    for (names, setting) in [
        (["CA", "CERT", "KEY"].as_slice(), ""),
        (&["CERT", "KEY"], "see REDIS_TLS_CA"),
        (&["CA"], "see REDIS_TLS_CERT"),
        (&[], "see REDIS_HOST or REDIS_TLS"),
    ] {
        let files = authority.client().some_settings("REDIS_TLS", names);
        let mut settings: Vec<_> =
            files.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        settings.extend([("KUBECONFIG", kubeconfig.to_str().unwrap()), ("REDIS_PORT", &port)]);
        let controller = Controller::start(&settings);
        if setting.is_empty() {
            eventually("it tried", async || !warnings(&controller, "the lease").is_empty()).await;
            tokio::time::sleep(Duration::from_millis(500)).await;
            assert!(warnings(&controller, "Redis").is_empty(), "{}", controller.log());
        } else {
            eventually(setting, async || !warnings(&controller, setting).is_empty()).await;
        }
    }
}
