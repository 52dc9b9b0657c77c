//! The rules: Prometheus takes them, each alert has a test, a runbook, and names only what is there.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::sync::LazyLock;

use farmlokal_chart_tests::{Tool, repository, yaml};
use serde_json::Value;

use crate::exposition::REAL;
use crate::promql;

const RULES: &str = "charts/farmlokal/files/alerts.yaml";
const TESTS: &str = "tools/chart-tests/alerts";
const RUNBOOKS: &str = "https://github.com/farmlokal/farmlokal/blob/main/docs/runbooks.md#";

fn rules() -> Vec<Value> {
    let file = yaml::document(&fs::read_to_string(repository(RULES)).unwrap()).unwrap();
    let groups = file["groups"].as_array().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap()).cloned().collect()
}

/// The alerting rules.
pub(crate) fn alerts() -> Vec<Value> {
    rules().into_iter().filter(|rule| rule.get("alert").is_some()).collect()
}

/// The names of the series that rules record.
pub(crate) fn recorded() -> &'static BTreeSet<String> {
    static RECORDED: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
        rules().iter().filter_map(|rule| Some(rule.get("record")?.as_str()?.to_owned())).collect()
    });
    &RECORDED
}

fn tests() -> Vec<Value> {
    let files = fs::read_dir(repository(TESTS)).unwrap().map(|file| file.unwrap().path());
    let files = files.map(|path| yaml::document(&fs::read_to_string(path).unwrap()).unwrap());
    files.flat_map(|file| file["tests"].as_array().unwrap().clone()).collect()
}

pub(crate) fn expect_success(command: &mut Command) {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?}\n{}\n{}", text(&output.stdout), text(&output.stderr));
}

#[test]
fn prometheus_takes_the_rules() {
    let Some(mut promtool) = Tool::Promtool.command() else { return };
    expect_success(promtool.args(["check", "rules"]).arg(repository(RULES)));
}

#[test]
fn alerts_fire_when_they_should_and_are_silent_when_they_should_not() {
    let Some(mut promtool) = Tool::Promtool.command() else { return };
    let files = fs::read_dir(repository(TESTS)).unwrap().map(|file| file.unwrap().path());
    expect_success(promtool.args(["test", "rules"]).args(files));
}

/// In the test that is named after it, once at least. The windows of one objective count separately.
#[test]
fn every_alert_is_seen_firing_and_silent() {
    let tests = tests();
    for alert in alerts() {
        let name = alert["alert"].as_str().unwrap();
        let window =
            alert["labels"]["long"].as_str().map(|long| format!("long=\"{long}\"")).unwrap_or_default();
        let own = tests.iter().filter(|test| test["name"].as_str().unwrap().starts_with(name));
        let moments: Vec<_> = own.flat_map(|test| test["promql_expr_test"].as_array().unwrap()).collect();
        let fires = |moment: &Value| {
            let samples = moment["exp_samples"].as_array().unwrap();
            samples.iter().any(|sample| {
                let labels = sample["labels"].as_str().unwrap();
                labels.contains(&format!("alertname=\"{name}\"")) && labels.contains(&window)
            })
        };
        assert!(moments.iter().any(|moment| fires(moment)), "no test sees {name} {window} fire");
        assert!(moments.iter().any(|moment| !fires(moment)), "no test sees {name} {window} silent");
    }
}

#[test]
fn every_rule_names_only_what_is_exposed() {
    for rule in rules() {
        let expr = rule["expr"].as_str().unwrap();
        let labels = promql::check(expr, &REAL).unwrap_or_else(|wrong| panic!("{wrong}"));
        if rule.get("record").is_some() {
            assert_eq!(labels, ["job", "namespace"].map(str::to_owned).into(), "{expr}");
        }
        for text in
            ["summary", "description"].into_iter().filter_map(|text| rule["annotations"][text].as_str())
        {
            let missing: Vec<_> = promql::labels_in_template(text).difference(&labels).cloned().collect();
            assert!(missing.is_empty(), "{text}: the alert has no {missing:?}");
        }
    }
}

#[test]
fn every_alert_says_how_bad_it_is_and_where_to_read_on() {
    for alert in alerts() {
        let (name, annotations) = (alert["alert"].as_str().unwrap(), &alert["annotations"]);
        assert!(["critical", "warning"].contains(&alert["labels"]["severity"].as_str().unwrap()), "{name}");
        assert_eq!(annotations["runbook_url"], format!("{RUNBOOKS}{}", name.to_lowercase()));
        for text in ["summary", "description"] {
            assert!(annotations[text].as_str().is_some_and(|text| text.len() > 10), "{name} has no {text}");
        }
        assert!(alert["for"].is_string(), "{name} fires at the first sight of it");
    }
}
