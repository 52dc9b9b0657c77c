//! The command line and the environment.

use farmlokal_devstack::Authority;

use crate::process::{command, unreachable_api_server};

#[test]
fn a_key_of_another_certificate_stops_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let (authority, other) = (Authority::create().unwrap(), Authority::create().unwrap());
    let mut command = command(directory.path());
    command.env("KUBECONFIG", unreachable_api_server(directory.path()));
    command.envs(authority.client().some_settings("REDIS_TLS", &["CERT"]));
    let output = command.envs(other.client().some_settings("REDIS_TLS", &["KEY"])).output().unwrap();
    let log = [output.stdout, output.stderr].concat();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(log).unwrap().contains("REDIS_TLS_KEY is not the key of REDIS_TLS_CERT"));
}

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
