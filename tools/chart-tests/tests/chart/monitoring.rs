//! What Prometheus and Grafana get.

use std::collections::BTreeSet;

use farmlokal_chart_tests::{repository, yaml};
use promql_parser::parser::{self, Expr, VectorSelector};
use promql_parser::util::{ExprVisitor, walk_expr};
use serde_json::{Value, json};

use crate::chart::{Objects, refusal, render, render_as};

#[test]
fn all_that_has_metrics_is_scraped() {
    let values =
        json!({"serviceMonitor": {"enabled": true, "interval": "30s", "labels": {"release": "prometheus"}}});
    let Some(objects) = render(&values) else { return };
    let endpoint = json!([{"port": "management", "path": "/metrics", "interval": "30s"}]);
    let (api, others) =
        (objects.get("ServiceMonitor", "farmlokal-api"), objects.get("PodMonitor", "farmlokal"));
    assert_eq!(api["spec"]["endpoints"], endpoint);
    assert_eq!(others["spec"]["podMetricsEndpoints"], endpoint);
    for monitor in [api, others] {
        assert_eq!(monitor["metadata"]["labels"]["release"], "prometheus");
    }
}

/// The rules of the file.
fn file() -> Vec<Value> {
    let file = std::fs::read_to_string(repository("charts/farmlokal/files/alerts.yaml")).unwrap();
    rules_of(&yaml::document(&file).unwrap())
}

fn rules_of(groups: &Value) -> Vec<Value> {
    let groups = groups["groups"].as_array().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap()).cloned().collect()
}

fn rules(objects: &Objects, name: &str) -> Vec<Value> {
    rules_of(&objects.get("PrometheusRule", name)["spec"])
}

/// What a query reads.
fn selectors(query: &str) -> Vec<VectorSelector> {
    struct Selectors(Vec<VectorSelector>);
    impl ExprVisitor for Selectors {
        type Error = ();

        fn pre_visit(&mut self, expr: &Expr) -> Result<bool, ()> {
            match expr {
                Expr::VectorSelector(selector) => self.0.push(selector.clone()),
                Expr::MatrixSelector(matrix) => self.0.push(matrix.vs.clone()),
                _ => {}
            }
            Ok(true)
        }
    }
    let mut selectors = Selectors(Vec::new());
    walk_expr(&mut selectors, &parser::parse(query).unwrap()).unwrap();
    selectors.0
}

/// Two releases in a cluster, or in a namespace, would otherwise record and alert about each other's series.
#[test]
fn rules_are_those_of_the_file_for_the_series_of_the_release() {
    let values = json!({"prometheusRule": {"enabled": true, "labels": {"release": "prometheus"}}});
    let Some(objects) = render(&values) else { return };
    let object = objects.get("PrometheusRule", "farmlokal");
    assert_eq!(object["metadata"]["labels"]["release"], "prometheus");
    let (rules, file) = (rules(&objects, "farmlokal"), file());
    assert_eq!(rules.len(), file.len());
    let own = r#"namespace="shop",job=~"farmlokal-api|shop/farmlokal""#;
    let page = format!("/blob/v{}/", env!("CARGO_PKG_VERSION"));
    for (mut rule, mut original) in rules.into_iter().zip(file) {
        let query = rule["expr"].as_str().unwrap();
        for selector in selectors(query) {
            let name = selector.name.clone().unwrap();
            let value = |label: &str| {
                let matcher = selector.matchers.matchers.iter().find(|matcher| matcher.name == label)?;
                Some(matcher.value.clone())
            };
            assert_eq!(value("namespace").as_deref(), Some("shop"), "{name} in {query}");
            if !name.starts_with("kube_") {
                assert_eq!(
                    value("job").as_deref(),
                    Some("farmlokal-api|shop/farmlokal"),
                    "{name} in {query}"
                );
            }
        }
        let mut query = query.replace(&format!("{{{own}}}"), "");
        for own in [own, r#"namespace="shop""#] {
            query = query.replace(&format!("{{{own},"), "{");
        }
        rule["expr"] = query.into();
        // The page of the version that is installed, not of a newer one.
        if let Some(url) = original.pointer_mut("/annotations/runbook_url") {
            *url = url.as_str().unwrap().replace("/blob/main/", &page).into();
        }
        assert_eq!(rule, original);
    }
    let Some(other) = render_as(&["template", "bakery"], &values) else { return };
    for rule in self::rules(&other, "bakery-farmlokal") {
        assert!(!rule["expr"].as_str().unwrap().contains("farmlokal-api|shop/farmlokal\""), "{rule}");
    }
}

/// An alert about series that nobody scrapes would never fire.
#[test]
fn jobs_are_called_in_rules_as_the_monitors_have_them_called() {
    let values = json!({"prometheusRule": {"enabled": true}, "serviceMonitor": {"enabled": true}});
    for release in ["farmlokal", "bakery"] {
        let Some(objects) = render_as(&["template", release], &values) else { return };
        let monitor = objects.of_kind("ServiceMonitor").next().unwrap();
        let selects = &monitor["spec"]["selector"]["matchLabels"];
        let selected = |service: &&Value| {
            let labels = &service["metadata"]["labels"];
            selects.as_object().unwrap().iter().all(|(key, value)| labels[key] == *value)
        };
        let services: Vec<_> = objects.of_kind("Service").filter(selected).collect();
        let [service] = services[..] else { panic!("{services:?}") };
        let others = objects.of_kind("PodMonitor").next().unwrap();
        let name = |object: &Value| object["metadata"]["name"].as_str().unwrap().to_owned();
        // What the operator sets where a monitor names no label for it.
        let jobs = format!("{}|shop/{}", name(service), name(others));
        let rule = objects.of_kind("PrometheusRule").next().unwrap();
        assert!(rule.to_string().contains(&jobs), "{jobs}");
    }
}

#[test]
fn alerts_can_be_left_out_labelled_and_explained_elsewhere() {
    let Some(_) = render(&json!({})) else { return };
    let values = json!({"prometheusRule": {
        "enabled": true, "disabled": ["FarmLokalLatencyBurn"], "alertLabels": {"team": "shop"},
        "runbookUrl": "https://wiki.example/runbooks", "jobs": "api|others",
    }});
    let rules = rules(&render(&values).unwrap(), "farmlokal");
    let names = |rules: &[Value]| -> BTreeSet<String> {
        rules.iter().filter_map(|rule| Some(rule["alert"].as_str()?.to_owned())).collect()
    };
    let left_out = &names(&file()) - &names(&rules);
    assert_eq!(left_out, ["FarmLokalLatencyBurn".to_owned()].into());
    for rule in &rules {
        assert!(rule["expr"].as_str().unwrap().contains(r#"namespace="shop""#), "{rule}");
        assert!(!rule["expr"].as_str().unwrap().contains("farmlokal-api"), "{rule}");
        let Some(name) = rule["alert"].as_str() else { continue };
        assert_eq!(rule["labels"]["team"], "shop", "{name}");
        assert!(rule["labels"]["severity"].is_string(), "{name}");
        let section = format!("https://wiki.example/runbooks#{}", name.to_lowercase());
        assert_eq!(rule["annotations"]["runbook_url"], section);
    }
    let refused = |values: Value| refusal(&json!({"prometheusRule": values})).unwrap();
    let error = refused(json!({"enabled": true, "disabled": ["FarmLokalApiGnoe"]}));
    assert!(error.contains("prometheusRule.disabled: there is no alert FarmLokalApiGnoe"), "{error}");
    for values in [json!({"alertLabels": {"severity": "page"}}), json!({"alertLabels": {"a-b": "c"}})] {
        assert!(refused(values).contains("/prometheusRule/alertLabels"));
    }
}

#[test]
fn the_dashboards_are_found_by_grafana_s_sidecar() {
    let values = json!({"dashboards": {"enabled": true, "annotations": {"grafana_folder": "FarmLokal"}}});
    let Some(objects) = render(&values) else { return };
    let map = objects.get("ConfigMap", "farmlokal-dashboards");
    assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1");
    assert_eq!(map["metadata"]["annotations"]["grafana_folder"], "FarmLokal");
    assert_eq!(map["data"].as_object().unwrap().len(), 2);
    // What kubectl apply can keep in an annotation.
    assert!(map.to_string().len() < 256 << 10);
}
