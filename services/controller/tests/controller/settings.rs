//! The command line and the environment.

use crate::process::{command, unreachable_api_server};

#[test]
fn a_bad_setting_stops_the_start_with_one_line_that_names_it() {
    let directory = tempfile::tempdir().unwrap();
    let kubeconfig = unreachable_api_server(directory.path());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().port().to_string();
    for (name, value, part) in [
        ("MANAGEMENT_PORT", "banana", "'banana' for '--management-port"),
        ("MANAGEMENT_PORT", taken.as_str(), "MANAGEMENT_PORT: cannot listen on"),
        ("RELEASE", "", "RELEASE is not set"),
        ("LEASE_DURATION", "500ms", "whole seconds, from 2s to 1h"),
        ("LEASE_RETRY_PERIOD", "8s", "LEASE_RETRY_PERIOD is 8s: LEASE_DURATION must be longer"),
        ("SHUTDOWN_TIMEOUT", "0s", "must be above zero"),
        ("LOG_LEVEL", "farmlokal=nonsense", "LOG_LEVEL"),
        ("REDIS_URL", "ftp://u:secret@h", "REDIS_URL: the scheme is ftp"),
        ("KUBECONFIG", "/nowhere", "the API server's address"),
    ] {
        let mut command = command(directory.path());
        let output = command.env("KUBECONFIG", &kubeconfig).env(name, value).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{name}={value}");
        assert_eq!(error.trim_end().lines().count(), 1, "{name}={value}: {error}");
        assert!(
            error.starts_with("farmlokal-controller: ") && error.contains(part),
            "{name}={value}: {error}"
        );
        assert!(!error.contains("secret@"), "{error}");
    }
}
