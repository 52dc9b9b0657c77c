//! Where secrets come from: an existing Secret, or the values.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::chart::{Objects, env, find_env, render, secret_of};

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
        "database": {"existingSecret": "db", "passwordKey": "pw"}, "redis": {"existingSecret": "cache", "passwordKey": "pw"},
        "partners": {
            "existingSecret": "partners", "clientSecretKey": "id", "webhookSecretsKey": "hooks",
            "oauth": {"tokenUrl": "https://id.example/token", "clientId": "shop"},
        },
    });
    let Some(objects) = render(&values) else { return };
    assert_eq!(objects.of_kind("Secret").count(), 0);
    let container = objects.container("farmlokal-api");
    assert_eq!(secret_of(container, "DB_PASS"), "db/pw");
    assert_eq!(secret_of(container, "REDIS_PASSWORD"), "cache/pw");
    assert_eq!(secret_of(container, "OAUTH_CLIENT_SECRET"), "partners/id");
    assert_eq!(secret_of(container, "WEBHOOK_SECRETS"), "partners/hooks");
    assert_eq!(secret_of(objects.container("farmlokal-controller"), "REDIS_PASSWORD"), "cache/pw");

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
        "redis": {"password": "p@ss/w rd+"},
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
        ("REDIS_PASSWORD", "p@ss/w rd+"),
        ("WEBHOOK_SECRETS", "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA,whsec_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"),
    ];
    assert_eq!(secret, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    for (_, value) in &secret {
        assert!(!objects.text.contains(value), "{value} is in the clear");
    }
    let container = objects.container("farmlokal-api");
    for key in ["DB_PASS", "OAUTH_CLIENT_SECRET", "REDIS_PASSWORD", "WEBHOOK_SECRETS"] {
        assert_eq!(secret_of(container, key), format!("farmlokal/{key}"));
    }
}

/// The containers that use Redis, then those that use the database alone.
fn containers(objects: &Objects) -> Vec<(String, Value)> {
    let names = ["Deployment/farmlokal-api", "Deployment/farmlokal-controller", "CronJob/farmlokal-seed"];
    let names = names.into_iter().chain(["Job/farmlokal-migrate"]);
    let pods = objects.pods();
    let pod = |name: &str| pods.iter().find(|(other, _)| other == name).unwrap().1["spec"].clone();
    names.map(|name| (name.to_owned(), pod(name))).collect()
}

#[test]
fn redis_is_found_by_its_settings() {
    let redis = json!({"host": "fd00::1", "port": 6380, "username": "shop", "existingSecret": "cache"});
    let Some(objects) = render(&json!({"redis": redis})) else { return };
    for (name, pod) in &containers(&objects)[..3] {
        let container = &pod["containers"][0];
        for (variable, value) in
            [("REDIS_HOST", "fd00::1"), ("REDIS_PORT", "6380"), ("REDIS_USERNAME", "shop")]
        {
            assert_eq!(env(container, variable)["value"], value, "{name}");
        }
        assert_eq!(secret_of(container, "REDIS_PASSWORD"), "cache/REDIS_PASSWORD", "{name}");
        assert!(find_env(container, "REDIS_TLS").is_none(), "{name}");
    }
    // A Redis without a password, on a chart without a Secret.
    let objects = render(&json!({})).unwrap();
    assert_eq!(objects.of_kind("Secret").count(), 0);
    assert!(find_env(objects.container("farmlokal-api"), "REDIS_PASSWORD").is_none());
}

#[test]
fn the_api_alone_reads_from_a_replica() {
    let read_from = |database: Value| {
        let objects = render(&json!({"database": database}))?;
        for (name, pod) in &containers(&objects) {
            let is_told = find_env(&pod["containers"][0], "DATABASE_READ_URL").is_some();
            assert!(!is_told || name.ends_with("api"), "{name}");
        }
        Some(find_env(objects.container("farmlokal-api"), "DATABASE_READ_URL").cloned())
    };
    let Some(none) = read_from(json!({})) else { return };
    assert_eq!(none, None);
    for (host, url) in [("replica", "mysql://replica:3307"), ("fd00::1", "mysql://[fd00::1]:3307")] {
        let told = read_from(json!({"replica": {"host": host, "port": 3307}})).unwrap().unwrap();
        assert_eq!(told["value"], url);
    }
    let secret = json!({"existingSecret": "db", "replica": {"urlKey": "read-url"}});
    let told = read_from(secret).unwrap().unwrap();
    assert_eq!(told["valueFrom"]["secretKeyRef"], json!({"name": "db", "key": "read-url"}));
}

#[test]
fn a_whole_url_takes_the_place_of_a_servers_settings() {
    let values = json!({
        "database": {"host": "db", "existingSecret": "db", "urlKey": "url", "tls": {"mode": "REQUIRED"}},
        "redis": {"existingSecret": "cache", "urlKey": "url", "tls": {"enabled": true}},
    });
    let Some(objects) = render(&values) else { return };
    for (name, pod) in &containers(&objects) {
        let container = &pod["containers"][0];
        if !name.ends_with("controller") {
            assert_eq!(secret_of(container, "DATABASE_URL"), "db/url", "{name}");
            assert_eq!(env(container, "DB_TLS")["value"], "REQUIRED", "{name}");
        }
        if !name.ends_with("migrate") {
            assert_eq!(secret_of(container, "REDIS_URL"), "cache/url", "{name}");
            assert_eq!(env(container, "REDIS_TLS")["value"], "true", "{name}");
        }
        for absent in ["DB_HOST", "DB_USER", "DB_PASS", "REDIS_HOST", "REDIS_PASSWORD"] {
            assert!(find_env(container, absent).is_none(), "{name} {absent}");
        }
    }
}

/// Each file that a variable names is in a Secret that is mounted there, and nothing else of that Secret is.
#[test]
fn certificates_are_files_of_those_who_need_them() {
    let tls = |secret| json!({"existingSecret": secret, "caKey": "ca.pem", "certKey": "tls.crt", "keyKey": "tls.key"});
    let (mut database, mut redis) = (tls("db-tls"), tls("redis-tls"));
    // As if it were written: a private CA is there to say who the server is.
    database["mode"] = json!("");
    redis["enabled"] = json!(true);
    let values = json!({"database": {"tls": database}, "redis": {"tls": redis}});
    let Some(objects) = render(&values) else { return };
    for (name, pod) in &containers(&objects) {
        let container = &pod["containers"][0];
        let mut servers = vec![];
        if !name.ends_with("controller") {
            assert_eq!(env(container, "DB_TLS")["value"], "VERIFY_IDENTITY", "{name}");
            servers.push(("DB_TLS", "db-tls"));
        }
        if !name.ends_with("migrate") {
            servers.push(("REDIS_TLS", "redis-tls"));
        }
        let (mounts, volumes) =
            (container["volumeMounts"].as_array().unwrap(), pod["volumes"].as_array().unwrap());
        assert_eq!((mounts.len(), volumes.len()), (servers.len(), servers.len()), "{name}");
        for (prefix, secret) in servers {
            let volume = volumes.iter().find(|volume| volume["secret"]["secretName"] == secret).unwrap();
            let mount = mounts.iter().find(|mount| mount["name"] == volume["name"]).unwrap();
            assert_eq!(mount["readOnly"], true, "{name}");
            let items = volume["secret"]["items"].as_array().unwrap();
            assert_eq!(items.len(), 3, "{name}");
            for (variable, key) in [("CA", "ca.pem"), ("CERT", "tls.crt"), ("KEY", "tls.key")] {
                let file = env(container, &format!("{prefix}_{variable}"))["value"].as_str().unwrap();
                let path = file.strip_prefix(mount["mountPath"].as_str().unwrap()).unwrap();
                let path = path.strip_prefix('/').unwrap();
                assert!(items.iter().any(|item| item["path"] == path && item["key"] == key), "{name} {file}");
            }
        }
    }

    // A CA alone is the default, and no TLS mounts nothing.
    let objects = render(&json!({"database": {"tls": {"existingSecret": "db-tls"}}})).unwrap();
    let container = objects.container("farmlokal-api");
    assert!(env(container, "DB_TLS_CA")["value"].as_str().unwrap().ends_with("/ca.crt"));
    for absent in ["DB_TLS_CERT", "DB_TLS_KEY", "REDIS_TLS_CA"] {
        assert!(find_env(container, absent).is_none(), "{absent}");
    }
    let objects = render(&json!({})).unwrap();
    for (name, pod) in &containers(&objects) {
        assert!(pod.get("volumes").is_none() && pod["containers"][0].get("volumeMounts").is_none(), "{name}");
    }
}

#[test]
fn the_migration_may_have_an_account_of_its_own() {
    let mut values = json!({
        "database": {"user": "shop", "password": "p"},
        "migrate": {"database": {"user": "owner", "existingSecret": "owner", "passwordKey": "pw"}},
    });
    let Some(objects) = render(&values) else { return };
    let account = |objects: &Objects, index: usize| {
        let container = containers(objects)[index].1["containers"][0].clone();
        (env(&container, "DB_USER")["value"].clone(), secret_of(&container, "DB_PASS"))
    };
    assert_eq!(account(&objects, 0), (json!("shop"), "farmlokal/DB_PASS".into()));
    assert_eq!(account(&objects, 2), (json!("shop"), "farmlokal/DB_PASS".into()));
    assert_eq!(account(&objects, 3), (json!("owner"), "owner/pw".into()));
    // It needs nothing of the other one.
    assert!(objects.find("Secret", "farmlokal-migrate").is_none());

    // Also by a whole URL, where the others have one.
    values["database"] = json!({"existingSecret": "db", "urlKey": "url"});
    values["migrate"]["database"] = json!({"existingSecret": "owner", "urlKey": "owners-url"});
    let objects = render(&values).unwrap();
    assert_eq!(secret_of(&containers(&objects)[3].1["containers"][0], "DATABASE_URL"), "owner/owners-url");
    assert_eq!(secret_of(objects.container("farmlokal-api"), "DATABASE_URL"), "db/url");
}

/// Kubernetes merges these lists by a key: an entry that is there twice makes `kubectl apply` lose one of them.
#[test]
fn entries_of_ones_own_take_the_place_of_the_charts() {
    let own = json!({
        "extraEnv": [{"name": "A", "value": "b"}, {"name": "DB_HOST", "value": "other"}, {"name": "REDIS_HOST", "value": "other"}],
        "envFrom": [{"secretRef": {"name": "more"}}],
        "extraVolumes": [{"name": "scratch", "emptyDir": {}}, {"name": "database-tls", "csi": {"driver": "d"}},
            {"name": "redis-tls", "csi": {"driver": "d"}}],
        "extraVolumeMounts": [{"name": "scratch", "mountPath": "/scratch"},
            {"name": "database-tls", "mountPath": "/etc/farmlokal/tls/database", "subPath": "own"}],
    });
    let mut api = own.clone();
    api["search"] = json!({"synonyms": ["okra, bhindi"]});
    let values = json!({
        "api": api, "controller": own, "migrate": own, "seed": own,
        "database": {"tls": {"existingSecret": "db"}}, "redis": {"tls": {"enabled": true, "existingSecret": "redis"}},
    });
    let Some(objects) = render(&values) else { return };
    for (name, pod) in &containers(&objects) {
        let container = &pod["containers"][0];
        for (list, key, of_ones_own) in [
            (&container["env"], "name", "extraEnv"),
            (&container["volumeMounts"], "mountPath", "extraVolumeMounts"),
            (&pod["volumes"], "name", "extraVolumes"),
        ] {
            let (list, own) = (list.as_array().unwrap(), own[of_ones_own].as_array().unwrap());
            let keys: BTreeSet<_> = list.iter().map(|entry| entry[key].as_str().unwrap()).collect();
            assert_eq!(keys.len(), list.len(), "{name}: {list:?}");
            // All of them, in their order, after the chart's: a variable may name an earlier one.
            assert_eq!(&list[list.len() - own.len()..], own, "{name}");
        }
        let sources = container["envFrom"].as_array().unwrap();
        assert_eq!(sources[0], own["envFrom"][0], "{name}");
    }
    let api = &containers(&objects)[0].1;
    // Kubernetes takes a variable from the last source that has it.
    assert_eq!(api["containers"][0]["envFrom"][1]["configMapRef"]["name"], "farmlokal-api");
    assert!(api["volumes"].as_array().unwrap().iter().any(|volume| volume["name"] == "search"));
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
