//! Where secrets come from: an existing Secret, or the values.

use serde_json::{Value, json};

use crate::chart::{env, find_env, render, secret_of};

/// The chart's own Secret, decoded.
fn decoded(secret: &Value) -> Vec<(String, String)> {
    let data = secret["data"].as_object().unwrap();
    data.iter().map(|(key, value)| (key.clone(), base64(value.as_str().unwrap()))).collect()
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    String::from_utf8(base64::engine::general_purpose::STANDARD.decode(text).unwrap()).unwrap()
}

#[test]
fn existing_secrets_leave_nothing_for_one_of_our_own() {
    let values = json!({
        "database": {"existingSecret": "db", "passwordKey": "pw"}, "redis": {"existingSecret": "cache", "urlKey": "url"},
        "partners": {
            "existingSecret": "partners", "clientSecretKey": "id", "webhookSecretsKey": "hooks",
            "oauth": {"tokenUrl": "https://id.example/token", "clientId": "shop"},
        },
    });
    let Some(objects) = render(&values) else { return };
    assert_eq!(objects.of_kind("Secret").count(), 0);
    let container = objects.container("farmlokal-api");
    assert_eq!(secret_of(container, "DB_PASS"), "db/pw");
    assert_eq!(secret_of(container, "REDIS_URL"), "cache/url");
    assert_eq!(secret_of(container, "OAUTH_CLIENT_SECRET"), "partners/id");
    assert_eq!(secret_of(container, "WEBHOOK_SECRETS"), "partners/hooks");
    assert_eq!(secret_of(objects.container("farmlokal-controller"), "REDIS_URL"), "cache/url");

    // What the Secret is said not to have is not asked of it.
    let values = json!({"partners": {"existingSecret": "partners", "webhookSecretsKey": ""}});
    let objects = render(&values).unwrap();
    assert!(find_env(objects.container("farmlokal-api"), "WEBHOOK_SECRETS").is_none());
    assert!(find_env(objects.container("farmlokal-api"), "OAUTH_CLIENT_SECRET").is_none());
}

#[test]
fn an_existing_secret_wins_over_a_password() {
    let values = json!({
        "database": {"existingSecret": "db", "password": "hunter2"},
        "redis": {"existingSecret": "cache", "password": "hunter2"},
        "partners": {
            "existingSecret": "partners", "webhook": {"secrets": ["whsec_aHVudGVyMmh1bnRlcjJodW50ZXIyaHVu"]},
            "oauth": {"tokenUrl": "https://id.example/token", "clientId": "shop", "clientSecret": "hunter2"},
        },
    });
    let Some(objects) = render(&values) else { return };
    assert_eq!(objects.of_kind("Secret").count(), 0);
    assert!(!objects.text.contains("hunter2") && !objects.text.contains("aHVudGVyMg"));
}

#[test]
fn what_values_give_in_the_clear_is_in_the_secret_and_nowhere_else() {
    let values = json!({
        "database": {"password": "db pass"},
        "redis": {"host": "cache", "port": 6380, "password": "p@ss/w rd+", "tls": true},
        "partners": {
            "oauth": {"tokenUrl": "https://id.example/token", "clientId": "shop", "clientSecret": "c-secret"},
            "webhook": {"secrets": ["whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "whsec_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"]},
        },
    });
    let Some(objects) = render(&values) else { return };
    let secret = decoded(objects.get("Secret", "farmlokal"));
    let expected = [
        ("DB_PASS", "db pass"),
        ("OAUTH_CLIENT_SECRET", "c-secret"),
        ("REDIS_URL", "rediss://:p%40ss%2Fw%20rd%2B@cache:6380"),
        ("WEBHOOK_SECRETS", "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA,whsec_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"),
    ];
    assert_eq!(secret, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    for (_, value) in &secret {
        assert!(!objects.text.contains(value), "{value} is in the clear");
    }
    let container = objects.container("farmlokal-api");
    for key in ["DB_PASS", "OAUTH_CLIENT_SECRET", "REDIS_URL", "WEBHOOK_SECRETS"] {
        assert_eq!(secret_of(container, key), format!("farmlokal/{key}"));
    }
}

#[test]
fn redis_is_found_by_host_and_port() {
    for (redis, expected) in [
        (json!({}), "redis://redis:6379"),
        (json!({"host": "cache", "port": 6380}), "redis://cache:6380"),
        (json!({"host": "fd00::1", "tls": true}), "rediss://[fd00::1]:6379"),
    ] {
        let Some(objects) = render(&json!({"redis": redis})) else { return };
        let secret = decoded(objects.get("Secret", "farmlokal"));
        assert_eq!(secret, [("REDIS_URL".to_owned(), expected.to_owned())]);
    }
}

#[test]
fn a_whole_url_takes_the_place_of_the_databases_settings() {
    let values = json!({"database": {"host": "db", "existingSecret": "db", "urlKey": "url"}});
    let Some(objects) = render(&values) else { return };
    let pods = objects.pods();
    let job = |name| &pods.iter().find(|(other, _)| other == name).unwrap().1["spec"]["containers"][0];
    for container in
        [objects.container("farmlokal-api"), job("Job/farmlokal-migrate"), job("CronJob/farmlokal-seed")]
    {
        assert_eq!(secret_of(container, "DATABASE_URL"), "db/url");
        for absent in ["DB_HOST", "DB_PASS"] {
            assert!(find_env(container, absent).is_none(), "{absent}");
        }
    }
}

#[test]
fn the_database_is_found_by_its_settings() {
    let database = json!({"host": "db", "port": 3307, "name": "shop", "user": "me"});
    let Some(objects) = render(&json!({"database": database})) else { return };
    let container = objects.container("farmlokal-api");
    for (name, value) in [("DB_HOST", "db"), ("DB_PORT", "3307"), ("DB_NAME", "shop"), ("DB_USER", "me")] {
        assert_eq!(env(container, name)["value"], value);
    }
    // A database without a password.
    assert!(find_env(container, "DB_PASS").is_none());
}

#[test]
fn partners_are_called_where_values_say() {
    let values = json!({"partners": {
        "oauth": {"tokenUrl": "https://id.example/token", "clientId": "shop", "clientSecret": "s", "audience": "a",
            "scope": "api:read", "clientAuth": "basic"},
        "apiA": {"url": "https://a.example/status"}, "apiB": {"url": "https://b.example"},
        "webhook": {"callbackUrl": "https://shop.example/webhook"},
    }});
    let Some(objects) = render(&values) else { return };
    let config = objects.config();
    for (name, value) in [
        ("OAUTH_TOKEN_URL", "https://id.example/token"),
        ("OAUTH_CLIENT_ID", "shop"),
        ("OAUTH_AUDIENCE", "a"),
        ("OAUTH_SCOPE", "api:read"),
        ("OAUTH_CLIENT_AUTH", "basic"),
        ("API_A_URL", "https://a.example/status"),
        ("API_B_URL", "https://b.example"),
        ("WEBHOOK_CALLBACK_URL", "https://shop.example/webhook"),
    ] {
        assert_eq!(config[name], value);
    }
    let config = render(&json!({})).unwrap().config().clone();
    assert!(
        ["OAUTH_TOKEN_URL", "OAUTH_SCOPE", "OAUTH_CLIENT_AUTH", "API_A_URL"]
            .iter()
            .all(|name| config.get(*name).is_none())
    );
}
