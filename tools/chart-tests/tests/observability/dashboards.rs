//! The dashboards, as the chart makes them: Grafana takes them, they look tidy, and every query asks for what is there.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::sync::OnceLock;

use farmlokal_chart_tests::{Tool, helm, repository};
use serde_json::{Value, json};

use crate::alerts::{self, expect_success};
use crate::exposition::{self, REAL};
use crate::promql::{self, filled_in};

/// Grafana's grid.
const COLUMNS: u64 = 24;
/// What a release of this name is called in titles.
const OWN: &str = " (shop/farmlokal)";

/// Those of a release, by the names of their files. `None` where there is no helm.
fn made_for(release: &str, namespace: &str) -> Option<Vec<(String, Value)>> {
    let arguments = ["--namespace", namespace, "--set", "dashboards.enabled=true"];
    let only = ["--show-only", "templates/monitoring/dashboards.yaml"];
    let objects = helm(release, "charts/farmlokal", &[&arguments[..], &only].concat())?.unwrap();
    let data = objects[0]["data"].as_object().unwrap();
    let read = |text: &Value| serde_json::from_str(text.as_str().unwrap()).unwrap();
    let dashboards: Vec<_> = data.iter().map(|(name, text)| (name.clone(), read(text))).collect();
    assert_eq!(dashboards.len(), 2);
    Some(dashboards)
}

fn dashboards() -> Option<&'static [(String, Value)]> {
    static DASHBOARDS: OnceLock<Option<Vec<(String, Value)>>> = OnceLock::new();
    DASHBOARDS.get_or_init(|| made_for("farmlokal", "shop")).as_deref()
}

/// Rows and panels, those in rows that are folded up among them.
fn everything(dashboard: &Value) -> impl Iterator<Item = &Value> {
    let all = dashboard["panels"].as_array().unwrap().iter();
    all.flat_map(|panel| std::iter::once(panel).chain(panel["panels"].as_array().into_iter().flatten()))
}

fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    everything(dashboard).filter(|panel| panel["type"] != "row")
}

/// What is drawn into all panels.
fn annotations(dashboard: &Value) -> impl Iterator<Item = &Value> {
    dashboard["annotations"]["list"].as_array().unwrap().iter().filter(|each| each["expr"].is_string())
}

fn overrides(panel: &Value) -> &[Value] {
    panel["fieldConfig"]["overrides"].as_array().unwrap()
}

/// What overrides set for the series of this matcher.
fn overridden<'a>(panel: &'a Value, matcher: &Value, property: &str) -> Option<&'a Value> {
    let own = overrides(panel).iter().filter(|each| each["matcher"] == *matcher);
    let mut properties = own.flat_map(|each| each["properties"].as_array().unwrap());
    Some(&properties.find(|each| each["id"] == property)?["value"])
}

/// Each query with the template of its legend.
fn targets(dashboard: &'static Value) -> Vec<(String, &'static str)> {
    let targets = panels(dashboard).flat_map(|panel| panel["targets"].as_array().unwrap());
    let targets = targets.map(|target| (&target["expr"], &target["legendFormat"]));
    let annotations = annotations(dashboard).map(|each| (&each["expr"], &each["titleFormat"]));
    let text = |value: &'static Value| value.as_str().unwrap();
    targets.chain(annotations).map(|(expr, legend)| (filled_in(text(expr)), text(legend))).collect()
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
    let Some(dashboards) = dashboards() else { return };
    for (name, dashboard) in dashboards {
        for (query, legend) in targets(dashboard) {
            let labels = promql::check(&query, &REAL).unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
            let shown = promql::labels_in_template(legend);
            let missing: Vec<_> = shown.difference(&labels).collect();
            assert!(missing.is_empty(), "{name}: {query} has no {missing:?}, as its legend wants");
        }
        for (series, label) in variables(dashboard) {
            let labels = promql::check(&series, &REAL).unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
            assert!(labels.contains(label), "{name}: {series} has no label {label}");
        }
    }
}

/// Prometheus's own parser may be stricter than the one above.
#[test]
fn prometheus_takes_every_query() {
    let Some(dashboards) = dashboards() else { return };
    let Some(mut promtool) = Tool::Promtool.command() else { return };
    let mut rules = String::from("groups:\n- name: queries\n  rules:\n");
    for (name, dashboard) in dashboards {
        let series = variables(dashboard).into_iter().map(|(series, _)| series);
        for query in targets(dashboard).into_iter().map(|(query, _)| query).chain(series) {
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
    let Some(dashboards) = dashboards() else { return };
    let mut shown = BTreeSet::new();
    for (_, dashboard) in dashboards {
        shown.extend(targets(dashboard).iter().flat_map(|(query, _)| promql::series(query)));
    }
    let shown: BTreeSet<_> = shown.iter().map(|name| exposition::family(name)).collect();
    let missing: Vec<_> = REAL.families().difference(&shown).copied().collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn grafana_finds_them_again_and_tells_panels_apart() {
    let Some(dashboards) = dashboards() else { return };
    for (name, dashboard) in dashboards {
        let uid = dashboard["uid"].as_str().unwrap();
        // More, Grafana does not take.
        assert!(*name == format!("{uid}.json") && uid.len() <= 40, "{name}");
        assert!(dashboard["title"].as_str().unwrap().ends_with(OWN), "{name}");
        assert!(dashboard.get("id").is_none_or(Value::is_null), "{name}: an id belongs to one Grafana");
        assert!(dashboard["schemaVersion"].as_u64().unwrap() >= 41, "{name}");
        let ids: Vec<_> = everything(dashboard).map(|panel| panel["id"].as_u64().unwrap()).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{name}: {ids:?}");
        let titles: Vec<_> = panels(dashboard).map(|panel| panel["title"].as_str().unwrap()).collect();
        assert_eq!(titles.iter().collect::<BTreeSet<_>>().len(), titles.len(), "{name}: {titles:?}");
    }
}

/// One Grafana has the dashboards of all releases, its sidecar puts them into one folder, and each begins with its own series.
#[test]
fn releases_do_not_take_each_other_s_dashboards() {
    let Some(one) = made_for("farmlokal", "shop") else { return };
    let other = made_for("bakery", "shop").unwrap();
    let elsewhere = made_for("farmlokal", "market").unwrap();
    let all = || one.iter().chain(&other).chain(&elsewhere);
    for key in ["uid", "title"] {
        let values: BTreeSet<_> = all().map(|(_, dashboard)| dashboard[key].as_str().unwrap()).collect();
        assert_eq!(values.len(), 6, "{values:?}");
    }
    assert_eq!(all().map(|(name, _)| name).collect::<BTreeSet<_>>().len(), 6);
    let chosen = |dashboards: &[(String, Value)], name: &str| -> BTreeSet<String> {
        let variables =
            dashboards.iter().flat_map(|(_, dashboard)| dashboard["templating"]["list"].as_array().unwrap());
        let own = variables.filter(|variable| variable["name"] == name);
        own.map(|variable| variable["current"]["value"][0].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(chosen(&other, "namespace"), ["shop"].map(str::to_owned).into());
    assert_eq!(chosen(&elsewhere, "namespace"), ["market"].map(str::to_owned).into());
    assert_eq!(chosen(&one, "job"), ["farmlokal-api", "shop/farmlokal"].map(str::to_owned).into());
    assert_eq!(
        chosen(&other, "job"),
        ["bakery-farmlokal-api", "shop/bakery-farmlokal"].map(str::to_owned).into()
    );
}

#[test]
fn every_query_goes_to_the_chosen_data_source() {
    let Some(dashboards) = dashboards() else { return };
    let chosen = json!({"type": "prometheus", "uid": "${datasource}"});
    for (name, dashboard) in dashboards {
        let variables = dashboard["templating"]["list"].as_array().unwrap();
        let names: Vec<_> = variables.iter().map(|variable| variable["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["datasource", "cluster", "namespace", "job", "pod"], "{name}");
        assert_eq!(variables[1]["allValue"], ".*", "series of most clusters have no such label");
        assert_eq!(
            (&variables[0]["type"], &variables[0]["query"]),
            (&json!("datasource"), &json!("prometheus"))
        );
        assert!(variables[1..].iter().all(|variable| variable["datasource"] == chosen), "{name}");
        for panel in panels(dashboard).chain(annotations(dashboard)) {
            assert_eq!(panel["datasource"], chosen, "{name}: {}", panel["title"]);
        }
        for panel in panels(dashboard) {
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
    let Some(dashboards) = dashboards() else { return };
    for (name, dashboard) in dashboards {
        for panel in panels(dashboard) {
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

/// Rows span the grid, panels lie below their row, inside the grid, and nothing overlaps. A row that is folded up holds its
/// panels and takes one line.
#[test]
fn the_grid_is_tidy() {
    fn lie_apart(name: &str, panels: &[&Value], top: u64) {
        let mut taken = BTreeSet::new();
        for panel in panels {
            let at = |side: &str| panel["gridPos"][side].as_u64().unwrap();
            let (x, y, width, height) = (at("x"), at("y"), at("w"), at("h"));
            assert!(width > 0 && height > 0 && x + width <= COLUMNS, "{name}: {}", panel["title"]);
            assert!(y >= top, "{name}: {} is above its row", panel["title"]);
            for cell in (x..x + width).flat_map(|x| (y..y + height).map(move |y| (x, y))) {
                assert!(taken.insert(cell), "{name}: {} lies on another panel at {cell:?}", panel["title"]);
            }
        }
    }
    let Some(dashboards) = dashboards() else { return };
    for (name, dashboard) in dashboards {
        let top = dashboard["panels"].as_array().unwrap();
        assert_eq!(top[0]["type"], "row", "{name}");
        lie_apart(name, &top.iter().collect::<Vec<_>>(), 0);
        for row in top.iter().filter(|panel| panel["type"] == "row") {
            let inside: Vec<_> = row["panels"].as_array().unwrap().iter().collect();
            assert_eq!(row["gridPos"]["w"], COLUMNS, "{name}: {}", row["title"]);
            assert_eq!(row["collapsed"], !inside.is_empty(), "{name}: {}", row["title"]);
            lie_apart(name, &inside, row["gridPos"]["y"].as_u64().unwrap() + 1);
        }
        // What matters first is there at once, details are folded up.
        let folded = top.iter().filter(|panel| panel["collapsed"] == true).count();
        assert!(top[0]["collapsed"] == false && folded > 0, "{name}");
    }
}

#[test]
fn legends_are_tables_and_colours_mean_the_same_everywhere() {
    let Some(dashboards) = dashboards() else { return };
    let graphs = dashboards.iter().flat_map(|(_, dashboard)| panels(dashboard));
    for panel in graphs.filter(|panel| panel["type"] == "timeseries") {
        let legend = &panel["options"]["legend"];
        assert_eq!(legend["displayMode"], "table", "{}", panel["title"]);
        assert_eq!(legend["calcs"], json!(["lastNotNull", "max"]), "{}", panel["title"]);
        for (word, color) in [("5\\d\\d", "red"), ("failed", "red"), ("4\\d\\d", "orange"), ("hit", "green")]
        {
            let named = |each: &&Value| {
                let names = each["matcher"]["options"].as_str().unwrap();
                let begins_or_has = [format!("({word}|"), format!("|{word}|")];
                each["matcher"]["id"] == "byRegexp" && begins_or_has.iter().any(|part| names.contains(part))
            };
            let own = overrides(panel).iter().find(named).unwrap_or_else(|| panic!("no colour for {word}"));
            assert_eq!(own["properties"][0]["value"]["fixedColor"], color, "{word}");
        }
    }
}

/// One axis cannot show how many there are and how many come in a second.
#[test]
fn queries_of_two_kinds_in_a_panel_have_two_units() {
    let Some(dashboards) = dashboards() else { return };
    let mut mixed = 0;
    for panel in dashboards.iter().flat_map(|(_, dashboard)| panels(dashboard)) {
        let mut units = [const { BTreeSet::new() }; 2];
        for target in panel["targets"].as_array().unwrap() {
            let matcher = json!({"id": "byFrameRefID", "options": target["refId"]});
            let own = overridden(panel, &matcher, "unit");
            let a_second = target["expr"].as_str().unwrap().contains("rate(");
            units[usize::from(a_second)]
                .insert(own.unwrap_or(&panel["fieldConfig"]["defaults"]["unit"]).as_str());
        }
        mixed += usize::from(units.iter().all(|units| !units.is_empty()));
        assert!(units[0].is_disjoint(&units[1]), "{}: {units:?}", panel["title"]);
    }
    assert!(mixed > 0);
}

#[test]
fn deployments_and_restarts_are_drawn_into_every_panel() {
    let Some(dashboards) = dashboards() else { return };
    for (name, dashboard) in dashboards {
        let names: Vec<_> = annotations(dashboard).map(|each| each["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["Deployments", "Restarts"], "{name}");
        for each in annotations(dashboard) {
            let series = promql::series(&filled_in(each["expr"].as_str().unwrap()));
            assert!(series.contains("farmlokal_build_info"), "{name}: {series:?}");
        }
    }
}

/// The link is made of the column's text: the name of the section, which is in lower case.
#[test]
fn each_firing_alert_links_to_its_runbook() {
    let Some(dashboards) = dashboards() else { return };
    let column = json!({"id": "byName", "options": "runbook"});
    for (name, dashboard) in dashboards {
        let panel = panels(dashboard).find(|panel| panel["title"] == "Firing alerts").unwrap();
        let link = overridden(panel, &column, "links").unwrap()[0]["url"].as_str().unwrap();
        assert!(link.ends_with("/docs/runbooks.md#${__value.text}"), "{name}: {link}");
        let texts = &overridden(panel, &column, "mappings").unwrap()[0]["options"];
        for alert in alerts::alerts() {
            let alert = alert["alert"].as_str().unwrap();
            assert_eq!(texts[alert]["text"], alert.to_lowercase(), "{name}");
        }
    }
}

/// A panel that an alert's runbook sends its reader to is there, by that name.
#[test]
fn runbooks_name_panels_that_exist() {
    let Some(dashboards) = dashboards() else { return };
    let page = fs::read_to_string(repository("docs/runbooks.md")).unwrap();
    let mut names = BTreeSet::new();
    for (_, dashboard) in dashboards {
        names.insert(dashboard["title"].as_str().unwrap().trim_end_matches(OWN).to_owned());
        names.extend(panels(dashboard).map(|panel| panel["title"].as_str().unwrap().to_owned()));
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
