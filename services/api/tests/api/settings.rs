//! The command line and the environment.

use std::net::TcpListener;

use farmlokal_devstack::Authority;

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
    let authority = Authority::create().unwrap();
    let cert = authority.client().cert;
    for (name, value, part) in [
        ("PORT", "banana", "PORT: invalid value 'banana' for '--port <PORT>'"),
        ("HOST", "banana", "HOST: invalid value 'banana' for '--host <HOST>'"),
        ("HOST", "192.0.2.1", "HOST: cannot listen on 192.0.2.1:"),
        ("PORT", "65536", "--port"),
        ("CACHE_TTL", "60", "--cache-ttl"),
        ("CORS_ALLOWED_ORIGINS", "https://a.example,https://b.example/", "--cors-allowed-origins"),
        ("LOCAL_CACHE", "maybe", "--local-cache"),
        ("DB_MAX_CONNECTIONS", "0", "--db-max-connections"),
        ("REQUEST_TIMEOUT", "0s", "must be above zero"),
        ("LIST_TIMEOUT", "0s", "must be above zero"),
        ("SEARCH_DEADLINE", "0s", "must be above zero"),
        ("SEARCH_THREADS", "0", "--search-threads"),
        ("SEARCH_MEMORY", "256", "write 256MiB or 1GiB"),
        ("SEARCH_LANGUAGE", "klingon", "unknown variant `Klingon`, expected one of `Arabic`, `Danish`"),
        (
            "SEARCH_SYNONYMS",
            "/nowhere/synonyms.txt",
            "invalid value '/nowhere/synonyms.txt' for '--search-synonyms <FILE>': cannot read it: No such file",
        ),
        ("DATABASE_URL", "postgres://u:secret@h/d", "DATABASE_URL: the scheme is postgres"),
        (
            "DATABASE_URL",
            "mysql://u:secret@h/d?sslMode=REQUIRED",
            "DATABASE_URL: sslMode: unknown option; for TLS write ssl-mode",
        ),
        ("DATABASE_URL", "mysql://u:secret@h", "DATABASE_URL: it names no database"),
        ("DB_HOST", "mysql://db", "DB_HOST: "),
        ("DB_TLS", "verify", "DB_TLS: invalid value 'verify'"),
        (
            "DB_TLS_CA",
            "/nowhere/ca.pem",
            "DB_TLS_CA: invalid value '/nowhere/ca.pem' for '--db-tls-ca <FILE>': No such file",
        ),
        (
            "DB_TLS_KEY",
            "/dev/null",
            "DB_TLS_KEY: invalid value '/dev/null' for '--db-tls-key <FILE>': must be a regular file",
        ),
        (
            "REDIS_TLS_CERT",
            "/dev/null",
            "REDIS_TLS_CERT: invalid value '/dev/null' for '--redis-tls-cert <FILE>': must be a regular file",
        ),
        ("REDIS_USERNAME", "shop", "REDIS_USERNAME needs REDIS_PASSWORD"),
        ("DB_TLS_CERT", cert.to_str().unwrap(), "DB_TLS_CERT and DB_TLS_KEY need each other"),
        ("LOG_LEVEL", "farmlokal=nonsense", "LOG_LEVEL: "),
        ("LOG_LEVEL", "banana", "LOG_LEVEL: "),
        ("REDIS_URL", "ftp://u:secret@h", "REDIS_URL: the scheme is ftp"),
        ("REDIS_URL", "redis://:secret@h?db=1", "REDIS_URL: unknown option db; write the number"),
        ("REDIS_URL", "redis://:secret@h/x", "REDIS_URL: the database must be a number"),
        ("REDIS_HOST", "redis://h", "REDIS_HOST: "),
        ("REDIS_TLS", "maybe", "REDIS_TLS: invalid value 'maybe'"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "secret@", "OTEL_EXPORTER_OTLP_HEADERS: must be name=value"),
        ("CACHE_TTL", "0s", "zero"),
        ("OAUTH_TOKEN_URL", "secret@host", "OAUTH_TOKEN_URL (write https://host/path)"),
        ("OAUTH_TOKEN_URL", "ftp://host/token", "the scheme is ftp"),
        ("OAUTH_TOKEN_URL", "https://host/token", "OAUTH_TOKEN_URL needs OAUTH_CLIENT_ID"),
        ("API_A_URL", "https://host/status", "OAUTH_TOKEN_URL is not"),
        ("API_A_ATTEMPTS", "0", "--api-a-attempts"),
    ] {
        let settings = [("HOST", "127.0.0.1"), ("PORT", "0"), (name, value)];
        let (code, _, error) = run(&[], &settings, "");
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
    let (_, _, error) = run(&[], &[("PORT", "")], "PORT=banana\n");
    assert!(error.contains("'banana'"), "an empty variable is not set: {error}");
}

#[test]
fn a_bad_line_of_a_dotenv_file_is_named_by_its_number() {
    for (dotenv, number) in [
        ("DB_PASS=secret word\n", 1),
        ("# comment\n\nPORT=0\nsecret\nPORT=1\n", 4),
        ("PORT=0\r\nDB_PASS=secret word # comment\r\n", 2),
        ("PORT=0\nDB_PASS=\"secret\nDB_USER=secret\n", 2),
        ("\u{feff}PORT=0\nDB_PASS='secret'word x\n", 2),
    ] {
        let (code, _, error) = run(&[], &[], dotenv);
        assert_eq!(code, 2);
        assert!(
            error.starts_with(&format!("farmlokal-api: .env: line {number} cannot be read")),
            "{dotenv}: {error}"
        );
        assert!(error.trim_end().lines().count() == 1 && !error.contains("secret"), "{error}");
    }
}

/// The last setting is wrong, so that the start ends once all others are read.
#[test]
fn an_empty_setting_is_not_set() {
    let names =
        ["PORT", "CACHE_TTL", "LOCAL_CACHE", "DATABASE_URL", "REDIS_URL", "API_A_URL", "OAUTH_TOKEN_URL"];
    let names =
        [&names[..], &["API_B_URL", "LOG_LEVEL", "LOG_FORMAT", "OTEL_EXPORTER_OTLP_ENDPOINT"]].concat();
    let mut settings: Vec<_> = names.iter().map(|name| (*name, "")).collect();
    settings.extend([("DB_HOST", "127.0.0.1"), ("HOST", "192.0.2.1")]);
    let (_, _, error) = run(&[], &settings, "");
    assert!(error.contains("HOST: cannot listen on 192.0.2.1:5000"), "{error}");
    let dotenv = names.join("=\n") + "=\n";
    let (_, _, error) = run(&[], &[("HOST", "192.0.2.1")], &dotenv);
    assert!(error.contains("HOST: cannot listen on 192.0.2.1:5000"), "{error}");
}

#[test]
fn a_setting_that_is_not_utf8_is_named() {
    use std::os::unix::ffi::OsStrExt as _;
    let directory = tempfile::tempdir().unwrap();
    let value = std::ffi::OsStr::from_bytes(b"secret\xff");
    let output = command(directory.path()).env("DB_PASS", value).output().unwrap();
    assert_eq!(output.stderr, b"farmlokal-api: DB_PASS: not UTF-8\n");
}

#[test]
fn a_flag_is_named_where_the_bad_value_is_its() {
    let (_, _, error) = run(&["--port", "banana"], &[("PORT", "0")], "");
    assert!(error.starts_with("farmlokal-api: invalid value 'banana' for '--port <PORT>'"), "{error}");
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
        "DB_TLS",
        "REDIS_URL",
        "REDIS_HOST",
        "REDIS_PORT",
        "REDIS_PASSWORD",
        "REDIS_TLS",
        "CACHE_TTL",
        "LOCAL_CACHE",
        "SEARCH_MEMORY",
        "SEARCH_SYNONYMS",
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
