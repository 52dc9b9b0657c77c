//! Names: as long as Helm allows, and apart.

use serde_json::{Value, json};

use crate::chart::{Objects, name_of, render_as};

fn everything() -> serde_json::Value {
    json!({
        "seed": {"whenEmpty": true}, "sandbox": {"enabled": true}, "networkPolicy": {"enabled": true},
        "api": {"service": {"type": "LoadBalancer"}, "autoscaling": {"enabled": true}}, "database": {"password": "p"},
        "ingress": {"enabled": true}, "gateway": {"enabled": true, "parentRefs": [{"name": "public"}]},
        "serviceMonitor": {"enabled": true}, "prometheusRule": {"enabled": true}, "dashboards": {"enabled": true},
    })
}

/// What Kubernetes takes in a namespace, by kind: a `CronJob`'s name gets 11 characters more in its Jobs, and Services, as the labels with a
/// Job's name, are names of DNS.
#[track_caller]
fn are_taken(objects: &Objects) {
    for object in objects.all.iter().filter(|object| object["metadata"]["namespace"].is_string()) {
        let name = object["metadata"]["name"].as_str().unwrap();
        let longest = if object["kind"] == "CronJob" { 52 } else { 63 };
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let is_label = name.starts_with(|c: char| c.is_ascii_lowercase()) && !name.ends_with('-');
        assert!(name.len() <= longest && is_label && name.chars().all(allowed), "{}", name_of(object));
        for (label, value) in object["metadata"]["labels"].as_object().unwrap() {
            assert!(value.as_str().unwrap().len() <= 63, "{label}: {value}");
        }
    }
}

#[test]
fn the_longest_release_names_are_taken_and_stay_apart() {
    let name = |release: &str| {
        let objects = render_as(&["template", release], &everything())?;
        are_taken(&objects);
        let services = objects.of_kind("Service").map(name_of).find(|name| name.ends_with("-api"));
        Some(services.unwrap())
    };
    let long = "a".repeat(52);
    let Some(one) = name(&format!("{long}1")) else { return };
    let two = name(&format!("{long}2")).unwrap();
    assert_ne!(one, two);
    assert_eq!(one, name(&format!("{long}1")).unwrap());
    // A release's name may have a dot and begin with a digit, a Service's may not.
    assert_ne!(name("my.shop").unwrap(), name("my-shop").unwrap());
    assert_ne!(name("1shop").unwrap(), name("shop").unwrap());
    assert_eq!(name("my-shop").unwrap(), "Service/my-shop-farmlokal-api");
    // The longest that needs no checksum.
    let farmlokal = format!("{}-farmlokal", "a".repeat(36));
    assert_eq!(name(&farmlokal).unwrap(), format!("Service/{farmlokal}-api"));
}

/// YAML reads them as numbers and a boolean, unless they are quoted; a label is a text.
#[test]
fn a_name_that_looks_like_a_number_is_a_text() {
    for release in ["123", "1e5", "no"] {
        let Some(objects) = render_as(&["template", release], &everything()) else { return };
        for object in &objects.all {
            let metadata = &object["metadata"];
            assert!(metadata["name"].is_string() && metadata["namespace"] != 0, "{metadata}");
            let selectors = [&metadata["labels"], &object["spec"]["selector"]["matchLabels"]];
            for (label, value) in selectors.into_iter().filter_map(Value::as_object).flatten() {
                assert!(value.is_string(), "{release}: {label}: {value}");
            }
            let instance = &metadata["labels"]["app.kubernetes.io/instance"];
            assert!(instance.is_null() || instance == release, "{release}: {instance}");
        }
    }
}

#[test]
fn another_name_of_the_chart_is_in_names_and_selectors() {
    let mut values = everything();
    values["nameOverride"] = "catalogue".into();
    let Some(objects) = render_as(&["template", "shop"], &values) else { return };
    are_taken(&objects);
    for object in objects.all.iter().filter(|object| object["metadata"]["namespace"].is_string()) {
        assert!(name_of(object).contains("/shop-catalogue"), "{}", name_of(object));
    }
    assert!(!objects.text.contains("app.kubernetes.io/name: farmlokal"));
}
