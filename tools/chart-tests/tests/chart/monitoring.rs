//! What Prometheus and Grafana get.

use farmlokal_chart_tests::{repository, yaml};
use serde_json::json;

use crate::chart::render;

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

/// What Prometheus calls a template is not one of helm's.
#[test]
fn the_alerts_are_those_of_the_file_as_they_are() {
    let values = json!({"prometheusRule": {"enabled": true, "labels": {"release": "prometheus"}}});
    let Some(objects) = render(&values) else { return };
    let rule = objects.get("PrometheusRule", "farmlokal");
    let file = std::fs::read_to_string(repository("charts/farmlokal/files/alerts.yaml")).unwrap();
    let file = yaml::document(&file).unwrap();
    assert!(file["groups"].as_array().is_some_and(|groups| !groups.is_empty()));
    assert_eq!(rule["spec"], file);
    assert_eq!(rule["metadata"]["labels"]["release"], "prometheus");
}

#[test]
fn the_dashboards_are_those_of_the_folder_as_they_are() {
    let values = json!({"dashboards": {"enabled": true, "annotations": {"grafana_folder": "FarmLokal"}}});
    let Some(objects) = render(&values) else { return };
    let map = objects.get("ConfigMap", "farmlokal-dashboards");
    assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1");
    assert_eq!(map["metadata"]["annotations"]["grafana_folder"], "FarmLokal");
    let data = map["data"].as_object().unwrap();
    let folder = std::fs::read_dir(repository("charts/farmlokal/files/dashboards")).unwrap();
    let files: Vec<_> = folder
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().unwrap() == "json")
        .collect();
    assert!(!files.is_empty());
    assert_eq!(data.len(), files.len());
    for path in files {
        let name = path.file_name().unwrap().to_str().unwrap();
        assert_eq!(
            data[name].as_str().unwrap().trim(),
            std::fs::read_to_string(&path).unwrap().trim(),
            "{name}"
        );
    }
    // What an object of Kubernetes can hold.
    assert!(map.to_string().len() < 1 << 20);
}
