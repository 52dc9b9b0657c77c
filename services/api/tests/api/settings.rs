//! The command line and the environment.

use std::net::TcpListener;

use crate::harness::command;

/// The exit code, standard output and standard error of the binary.
fn run(args: &[&str], settings: &[(&str, &str)], dotenv: &str) -> (i32, String, String) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join(".env"), dotenv).unwrap();
    let output = command(directory.path()).args(args).envs(settings.iter().copied()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_bad_setting_stops_the_start_with_one_line_that_names_it() {
    for (name, value, part) in [
        ("PORT", "banana", "'banana' for '--port <PORT>'"),
        ("PORT", "65536", "--port"),
        ("CACHE_TTL", "60", "--cache-ttl"),
        ("CORS_ALLOWED_ORIGINS", "https://a.example,https://b.example/", "--cors-allowed-origins"),
        ("LOCAL_CACHE", "maybe", "--local-cache"),
        ("DB_MAX_CONNECTIONS", "0", "--db-max-connections"),
        ("REQUEST_TIMEOUT", "0s", "must be above zero"),
        ("LIST_TIMEOUT", "0s", "must be above zero"),
        ("SEARCH_TIMEOUT", "0s", "must be above zero"),
        ("SEARCH_DB_SHARE", "0", "--search-db-share"),
        ("DATABASE_URL", "postgres://u:secret@h/d", "DATABASE_URL: the scheme is postgres"),
        ("LOG_LEVEL", "farmlokal=nonsense", "LOG_LEVEL"),
        ("REDIS_URL", "ftp://u:secret@h", "Redis"),
        ("CACHE_TTL", "0s", "zero"),
        ("OAUTH_TOKEN_URL", "secret@host", "OAUTH_TOKEN_URL (write https://host/path)"),
        ("OAUTH_TOKEN_URL", "ftp://host/token", "the scheme is ftp"),
        ("OAUTH_TOKEN_URL", "https://host/token", "OAUTH_TOKEN_URL needs OAUTH_CLIENT_ID"),
        ("API_A_URL", "https://host/status", "OAUTH_TOKEN_URL is not"),
        ("API_A_ATTEMPTS", "0", "--api-a-attempts"),
    ] {
        let (code, _, error) = run(&[], &[("HOST", "127.0.0.1"), ("PORT", "0"), (name, value)], "");
        assert_ne!(code, 0, "{name}={value}");
        assert_eq!(error.trim_end().lines().count(), 1, "{name}={value}: {error}");
        assert!(error.starts_with("farmlokal-api: ") && error.contains(part), "{name}={value}: {error}");
        assert!(!error.contains("secret@"), "{error}");
    }
}

#[test]
fn partners_have_less_time_than_requests() {
    let usual = [
        ("HOST", "127.0.0.1"),
        ("PORT", "0"),
        ("OAUTH_TOKEN_URL", "https://host/token"),
        ("OAUTH_CLIENT_ID", "farmlokal"),
        ("OAUTH_CLIENT_SECRET", "secret@"),
        ("API_A_URL", "https://host/status"),
    ];
    for (name, value) in [("API_A_TIMEOUT", "5s"), ("OAUTH_TIMEOUT", "5s"), ("REQUEST_TIMEOUT", "3s")] {
        let (code, _, error) = run(&[], &[&usual[..], &[(name, value)]].concat(), "");
        assert_eq!(code, 1, "{name}");
        assert!(error.contains("is not below REQUEST_TIMEOUT") && !error.contains("secret@"), "{error}");
        assert_eq!(error.trim_end().lines().count(), 1, "{error}");
    }
}

#[test]
fn a_dotenv_file_fills_in_what_the_environment_leaves_open() {
    let (_, _, error) = run(&[], &[], "PORT=banana\n");
    assert!(error.contains("'banana' for '--port <PORT>'"), "{error}");
    let (_, _, error) = run(&[], &[("PORT", "apple")], "PORT=banana\n");
    assert!(error.contains("'apple'"), "{error}");
    let (code, _, error) = run(&[], &[], "DB_PASS=secret word\n");
    assert!(code != 0 && error.contains(".env") && !error.contains("secret"), "{error}");
}

#[test]
fn a_port_in_use_is_one_clear_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, _, error) = run(&[], &[("HOST", "127.0.0.1"), ("PORT", &port)], "");
    assert_eq!(code, 1);
    assert!(error.starts_with("farmlokal-api: PORT: cannot listen on 127.0.0.1:"), "{error}");
    assert_eq!(error.trim_end().lines().count(), 1, "{error}");
}

#[test]
fn help_documents_every_setting() {
    let (code, help, _) = run(&["--help"], &[], "");
    assert_eq!(code, 0);
    for name in [
        "PORT",
        "MANAGEMENT_PORT",
        "DATABASE_URL",
        "DB_HOST",
        "DB_USER",
        "DB_PASS",
        "DB_NAME",
        "REDIS_URL",
        "REDIS_HOST",
        "REDIS_PORT",
        "CACHE_TTL",
        "LOCAL_CACHE",
        "SEARCH_TIMEOUT",
        "REQUEST_TIMEOUT",
        "SHUTDOWN_TIMEOUT",
        "OAUTH_TOKEN_URL",
        "OAUTH_CLIENT_ID",
        "OAUTH_CLIENT_SECRET",
        "OAUTH_AUDIENCE",
        "API_A_URL",
        "LOG_LEVEL",
    ] {
        assert!(help.contains(&format!("[env: {name}")), "{name}");
    }
    assert!(!help.contains("\n\n\n"));
}

#[test]
fn a_database_that_cannot_be_migrated_says_why() {
    let settings = [("DATABASE_URL", "mysql://u:secret@127.0.0.1:1/farmlokal")];
    let (code, _, error) = run(&["migrate"], &settings, "");
    assert_eq!(code, 1);
    assert!(error.starts_with("farmlokal-api: the database cannot be migrated: "), "{error}");
    assert!(!error.contains("secret"), "{error}");
}
