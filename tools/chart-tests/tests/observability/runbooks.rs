//! docs/runbooks.md has a section for each alert, and no other.

use std::collections::BTreeSet;
use std::fs;

use farmlokal_chart_tests::repository;

use crate::alerts;

#[test]
fn every_alert_has_a_runbook_and_every_runbook_an_alert() {
    let page = fs::read_to_string(repository("docs/runbooks.md")).unwrap();
    let sections: BTreeSet<_> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let alerts = alerts::alerts();
    let alerts: BTreeSet<_> = alerts.iter().map(|alert| alert["alert"].as_str().unwrap()).collect();
    assert_eq!(sections, alerts);
}

#[test]
fn every_runbook_says_what_to_do() {
    let page = fs::read_to_string(repository("docs/runbooks.md")).unwrap();
    for section in page.split("\n## ").skip(1) {
        for part in ["**Means**", "**Users see**", "**Look**", "**Do**"] {
            assert!(section.contains(&format!("\n{part}")), "{part} is missing: {section}");
        }
    }
}
