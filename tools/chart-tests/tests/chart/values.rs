//! values.yaml and its schema agree with each other and with the programs.

use std::collections::BTreeSet;
use std::fs;

use clap::CommandFactory as _;
use farmlokal_api::config::Cli;
use farmlokal_chart_tests::{repository, yaml};
use serde_json::Value;

/// Settings of the API that the chart sets by other values, or that are secrets.
const ELSEWHERE: &[&str] = &[
    "API_A_URL",
    "API_B_URL",
    "AUTH_AUDIENCE",
    "AUTH_ISSUER",
    "AUTH_JWKS_URL",
    "AUTH_LEEWAY",
    "AUTH_SCOPE",
    "AUTH_TOKEN_URL",
    "DATABASE_READ_URL",
    "DATABASE_URL",
    "DB_HOST",
    "DB_NAME",
    "DB_PASS",
    "DB_PORT",
    "DB_TLS",
    "DB_TLS_CA",
    "DB_TLS_CERT",
    "DB_TLS_KEY",
    "DB_USER",
    "HOST",
    "MANAGEMENT_PORT",
    "OAUTH_AUDIENCE",
    "OAUTH_CLIENT_AUTH",
    "OAUTH_CLIENT_ID",
    "OAUTH_CLIENT_SECRET",
    "OAUTH_SCOPE",
    "OAUTH_TOKEN_URL",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
    "PORT",
    "REDIS_HOST",
    "REDIS_PASSWORD",
    "REDIS_PORT",
    "REDIS_TLS",
    "REDIS_TLS_CA",
    "REDIS_TLS_CERT",
    "REDIS_TLS_KEY",
    "REDIS_URL",
    "REDIS_USERNAME",
    "SEARCH_SYNONYMS",
    "SEARCH_URL",
    "SHUTDOWN_DELAY",
    "SHUTDOWN_TIMEOUT",
    "WEBHOOK_CALLBACK_URL",
    "WEBHOOK_SECRETS",
];

fn read(path: &str) -> String {
    fs::read_to_string(repository("charts/farmlokal").join(path)).unwrap()
}

fn schema() -> Value {
    serde_json::from_str(&read("values.schema.json")).unwrap()
}

/// The values that have a comment that begins with `# --`, as `a.b.c`.
fn documented() -> BTreeSet<String> {
    let (mut values, mut path) = (Vec::<String>::new(), Vec::<(usize, String)>::new());
    let mut has_comment = false;
    let text = read("values.yaml");
    for line in text.lines() {
        let (indent, line) = (line.len() - line.trim_start().len(), line.trim());
        if line.starts_with("# -- ") {
            has_comment = true;
        } else if let Some((key, default)) =
            line.split_once(':').filter(|(key, _)| !key.starts_with(['#', '-']))
        {
            path.retain(|(outer, _)| *outer < indent);
            path.push((indent, key.to_owned()));
            let name = path.iter().map(|(_, key)| key.as_str()).collect::<Vec<_>>().join(".");
            let inside = values.last().is_some_and(|last| name.starts_with(&format!("{last}.")));
            if has_comment {
                values.push(name);
            } else if !default.is_empty() && !inside {
                panic!("{name} is not documented");
            }
            has_comment = false;
        }
    }
    values.into_iter().collect()
}

#[test]
fn every_value_is_documented_and_in_the_schema_and_the_other_way_round() {
    fn leaves(prefix: &str, object: &Value, documented: &BTreeSet<String>, found: &mut BTreeSet<String>) {
        // Other charts of a parent have global values too.
        assert_eq!(object["additionalProperties"] == false, prefix != "global.", "{prefix}");
        let all = schema();
        for (key, schema) in object["properties"].as_object().unwrap() {
            let name = format!("{prefix}{key}");
            let reference = schema["$ref"].as_str().and_then(|path| all.pointer(path.strip_prefix('#')?));
            let schema = reference.unwrap_or(schema);
            if schema["properties"].is_object() && !documented.contains(&name) {
                leaves(&format!("{name}."), schema, documented, found);
            } else {
                found.insert(name);
            }
        }
    }
    let names = documented();
    assert!(names.len() > 90, "{names:?}");
    let mut found = BTreeSet::new();
    leaves("", &schema(), &names, &mut found);
    assert_eq!(found, names);
}

#[test]
fn the_settings_that_may_be_set_are_those_of_the_program() {
    let command = Cli::command();
    let settings = command.get_arguments().filter_map(|arg| Some(arg.get_env()?.to_str()?.to_owned()));
    let settings: BTreeSet<_> = settings.collect();
    let allowed: BTreeSet<_> = schema()
        .pointer("/properties/api/properties/config/properties")
        .unwrap()
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    let elsewhere: BTreeSet<_> = ELSEWHERE.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(&allowed | &elsewhere, settings);
    assert!(allowed.is_disjoint(&elsewhere));
    // Whatever must not be shown must not be in a ConfigMap.
    for arg in command.get_arguments().filter(|arg| arg.is_hide_env_values_set()) {
        assert!(elsewhere.contains(arg.get_env().unwrap().to_str().unwrap()), "{arg}");
    }
}

#[test]
fn the_chart_has_the_version_of_the_programs() {
    let chart = yaml::document(&read("Chart.yaml")).unwrap();
    assert_eq!(chart["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
}
