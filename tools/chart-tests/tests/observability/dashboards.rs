//! The dashboards: Grafana takes them, they look tidy, and every query asks for what is there.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;

use farmlokal_chart_tests::{Tool, repository};
use serde_json::{Value, json};

use crate::alerts::expect_success;
use crate::exposition::{self, REAL};
use crate::promql::{self, filled_in};

const FOLDER: &str = "charts/farmlokal/files/dashboards";
/// Grafana's grid.
const COLUMNS: u64 = 24;

fn dashboards() -> Vec<(String, Value)> {
    let read = |name: &str| {
        let text = fs::read_to_string(repository(FOLDER).join(name)).unwrap();
        (name.to_owned(), serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}")))
    };
    let names: BTreeSet<_> = fs::read_dir(repository(FOLDER))
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names, ["farmlokal-api.json", "farmlokal-controller.json"].map(str::to_owned).into());
    names.iter().map(|name| read(name)).collect()
}

fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    dashboard["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row")
}

/// Each query with the template of its legend.
fn targets(dashboard: &Value) -> Vec<(String, &str)> {
    let targets = panels(dashboard).flat_map(|panel| panel["targets"].as_array().unwrap());
    targets
        .map(|target| (filled_in(target["expr"].as_str().unwrap()), target["legendFormat"].as_str().unwrap()))
        .collect()
}

/// The series and the label that `label_values(series, label)` asks for.
fn variables(dashboard: &Value) -> Vec<(String, &str)> {
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let queries = variables.iter().filter(|variable| variable["type"] == "query");
    let arguments = queries.map(|variable| {
        let query = variable["query"]["query"].as_str().unwrap();
        assert_eq!(variable["definition"], query);
        query
            .strip_prefix("label_values(")
            .and_then(|rest| rest.strip_suffix(')'))
            .unwrap()
            .rsplit_once(", ")
            .unwrap()
    });
    arguments.map(|(series, label)| (filled_in(series), label)).collect()
}

#[test]
fn every_query_names_only_what_is_exposed() {
    for (name, dashboard) in dashboards() {
        for (query, legend) in targets(&dashboard) {
            let labels = promql::check(&query, &REAL).unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
            let shown = promql::labels_in_template(legend);
            let missing: Vec<_> = shown.difference(&labels).collect();
            assert!(missing.is_empty(), "{name}: {query} has no {missing:?}, as its legend wants");
        }
        for (series, label) in variables(&dashboard) {
            let labels = promql::check(&series, &REAL).unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
            assert!(labels.contains(label), "{name}: {series} has no label {label}");
        }
    }
}

/// Prometheus's own parser may be stricter than the one above.
#[test]
fn prometheus_takes_every_query() {
    let Some(mut promtool) = Tool::Promtool.command() else { return };
    let mut rules = String::from("groups:\n- name: queries\n  rules:\n");
    for (name, dashboard) in dashboards() {
        let series = variables(&dashboard).into_iter().map(|(series, _)| series);
        for query in targets(&dashboard).into_iter().map(|(query, _)| query).chain(series) {
            writeln!(
                rules,
                "  - record: query\n    labels: {}\n    expr: {}",
                json!({"in": name, "q": query}),
                json!(query)
            )
            .unwrap();
        }
    }
    let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    fs::write(file.path(), rules).unwrap();
    expect_success(promtool.args(["check", "rules", "--lint=none"]).arg(file.path()));
}

#[test]
fn every_metric_is_on_a_dashboard() {
    let mut shown = BTreeSet::new();
    for (_, dashboard) in dashboards() {
        shown.extend(targets(&dashboard).iter().flat_map(|(query, _)| promql::series(query)));
    }
    let shown: BTreeSet<_> = shown.iter().map(|name| exposition::family(name)).collect();
    let missing: Vec<_> = REAL.families().difference(&shown).copied().collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn grafana_finds_them_again_and_tells_panels_apart() {
    let mut uids = BTreeSet::new();
    for (name, dashboard) in dashboards() {
        let uid = dashboard["uid"].as_str().unwrap();
        assert_eq!(name, format!("{uid}.json"));
        assert!(uids.insert(uid.to_owned()) && uid.len() <= 40);
        assert!(dashboard.get("id").is_none_or(Value::is_null), "{name}: an id belongs to one Grafana");
        assert!(dashboard["schemaVersion"].as_u64().unwrap() >= 41, "{name}");
        let ids: Vec<_> = dashboard["panels"]
            .as_array()
            .unwrap()
            .iter()
            .map(|panel| panel["id"].as_u64().unwrap())
            .collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{name}: {ids:?}");
        let titles: Vec<_> = panels(&dashboard).map(|panel| panel["title"].as_str().unwrap()).collect();
        assert_eq!(titles.iter().collect::<BTreeSet<_>>().len(), titles.len(), "{name}: {titles:?}");
    }
}

#[test]
fn every_query_goes_to_the_chosen_data_source() {
    let chosen = json!({"type": "prometheus", "uid": "${datasource}"});
    for (name, dashboard) in dashboards() {
        let variables = dashboard["templating"]["list"].as_array().unwrap();
        let names: Vec<_> = variables.iter().map(|variable| variable["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["datasource", "namespace", "job", "pod"], "{name}");
        assert_eq!(
            (&variables[0]["type"], &variables[0]["query"]),
            (&json!("datasource"), &json!("prometheus"))
        );
        assert!(variables[1..].iter().all(|variable| variable["datasource"] == chosen), "{name}");
        for panel in panels(&dashboard) {
            assert_eq!(panel["datasource"], chosen, "{name}: {}", panel["title"]);
            let targets = panel["targets"].as_array().unwrap();
            assert!(
                targets.iter().all(|target| target["datasource"] == chosen),
                "{name}: {}",
                panel["title"]
            );
            let letters: BTreeSet<_> =
                targets.iter().map(|target| target["refId"].as_str().unwrap()).collect();
            assert!(letters.len() == targets.len() && !targets.is_empty(), "{name}: {}", panel["title"]);
        }
    }
}

#[test]
fn every_panel_says_what_it_shows_and_in_which_unit() {
    for (name, dashboard) in dashboards() {
        for panel in panels(&dashboard) {
            let said =
                panel["description"].as_str().is_some_and(|text| text.len() > 15 && text.ends_with('.'));
            assert!(said, "{name}: {} has no description", panel["title"]);
            let defaults = &panel["fieldConfig"]["defaults"];
            assert!(defaults["unit"].is_string(), "{name}: {} has no unit", panel["title"]);
            let steps = defaults["thresholds"]["steps"].as_array().unwrap();
            let values: Vec<_> = steps.iter().map(|step| step["value"].as_f64()).collect();
            assert!(values[0].is_none() && values.is_sorted(), "{name}: {} {values:?}", panel["title"]);
        }
    }
}

/// Rows span the grid, panels lie below their row, inside the grid, and nothing overlaps.
#[test]
fn the_grid_is_tidy() {
    for (name, dashboard) in dashboards() {
        let mut taken = BTreeSet::new();
        let mut row = None;
        for panel in dashboard["panels"].as_array().unwrap() {
            let at = |side: &str| panel["gridPos"][side].as_u64().unwrap();
            let (x, y, width, height) = (at("x"), at("y"), at("w"), at("h"));
            assert!(width > 0 && height > 0 && x + width <= COLUMNS, "{name}: {}", panel["title"]);
            if panel["type"] == "row" {
                assert_eq!((x, width, height), (0, COLUMNS, 1), "{name}: {}", panel["title"]);
                assert!(row.is_none_or(|row| y > row), "{name}: {}", panel["title"]);
                row = Some(y);
            }
            assert!(row.is_some_and(|row| y >= row), "{name}: {} is above its row", panel["title"]);
            for cell in (x..x + width).flat_map(|x| (y..y + height).map(move |y| (x, y))) {
                assert!(taken.insert(cell), "{name}: {} lies on another panel at {cell:?}", panel["title"]);
            }
        }
    }
}

/// A panel that an alert's runbook sends its reader to is there, by that name.
#[test]
fn runbooks_name_panels_that_exist() {
    let page = fs::read_to_string(repository("docs/runbooks.md")).unwrap();
    let mut names = BTreeSet::new();
    for (_, dashboard) in dashboards() {
        names.insert(dashboard["title"].as_str().unwrap().to_owned());
        names.extend(panels(&dashboard).map(|panel| panel["title"].as_str().unwrap().to_owned()));
    }
    // An asterisk in code is none of emphasis.
    let prose: Vec<_> = page.split('`').step_by(2).collect();
    let text = prose.concat().replace("**", "").replace('\n', " ");
    let cited: Vec<_> = text.split('*').skip(1).step_by(2).collect();
    assert!(cited.len() > 10, "{cited:?}");
    for cited in cited {
        assert!(names.contains(cited), "docs/runbooks.md names {cited:?}");
    }
}
