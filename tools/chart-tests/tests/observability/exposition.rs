//! What can be asked for: the series that the binaries expose, those that rules record, and a few of others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use promql_parser::parser::VectorSelector;

use crate::{alerts, running};

/// What Prometheus adds to each series, from where it was scraped.
const TARGET: [&str; 5] = ["cluster", "namespace", "job", "pod", "instance"];

/// Series that are not ours, and the labels we use beside cluster and namespace: of Prometheus itself, of kube-state-metrics
/// and of the kubelet.
const FOREIGN: [(&str, &[&str]); 12] = [
    ("ALERTS", &["alertname", "alertstate", "severity", "job"]),
    ("container_cpu_cfs_periods_total", &["pod"]),
    ("container_cpu_cfs_throttled_periods_total", &["pod"]),
    ("kube_deployment_status_replicas_available", &["deployment"]),
    ("kube_horizontalpodautoscaler_spec_max_replicas", &["horizontalpodautoscaler"]),
    ("kube_horizontalpodautoscaler_spec_min_replicas", &["horizontalpodautoscaler"]),
    ("kube_horizontalpodautoscaler_status_desired_replicas", &["horizontalpodautoscaler"]),
    ("kube_job_failed", &["job_name", "condition"]),
    ("kube_pod_container_resource_limits", &["pod", "resource"]),
    ("kube_pod_container_resource_requests", &["pod", "resource"]),
    ("kube_pod_container_status_last_terminated_reason", &["pod", "reason"]),
    ("kube_pod_container_status_restarts_total", &["pod"]),
];

type Labels = BTreeMap<String, String>;

/// The series of all binaries, by name.
pub(crate) struct Exposition(BTreeMap<String, Vec<Labels>>);

/// Of the API after traffic and faults of every kind, of a seed run, and of the controller.
pub(crate) static REAL: LazyLock<Exposition> = LazyLock::new(|| Exposition::of(&PAGES));
static PAGES: LazyLock<Vec<String>> = LazyLock::new(running::scrape);

impl Exposition {
    /// Reads pages in the Prometheus text format.
    fn of(pages: &[String]) -> Exposition {
        let mut series = BTreeMap::<String, Vec<Labels>>::new();
        for line in pages.iter().flat_map(|page| page.lines()) {
            if let Some((name, labels)) = read(line) {
                series.entry(name).or_default().push(labels);
            }
        }
        Exposition(series)
    }

    /// The names of all series of our own, without those of the process and the suffixes of histograms.
    pub(crate) fn families(&self) -> BTreeSet<&str> {
        let own = self.0.keys().filter(|name| !name.starts_with("process_"));
        own.map(|name| family(name)).collect()
    }

    /// Whether the selector finds something: the name exists, so does each label, and at least one series matches.
    pub(crate) fn check(&self, selector: &VectorSelector) -> Result<(), String> {
        let labels = self.labels(selector)?;
        let name = selector.name.as_deref().unwrap_or_default();
        for matcher in &selector.matchers.matchers {
            if !labels.contains(&matcher.name) {
                return Err(format!("{name} has no label {}, it has {labels:?}", matcher.name));
            }
        }
        let Some(series) = self.0.get(name) else { return Ok(()) };
        let found = series.iter().any(|series| {
            let own = selector.matchers.matchers.iter().filter(|own| !TARGET.contains(&own.name.as_str()));
            own.into_iter()
                .all(|matcher| matcher.is_match(series.get(&matcher.name).map_or("", String::as_str)))
        });
        if found {
            Ok(())
        } else {
            Err(format!("no series of {name} matches {selector}: there are {series:#?}"))
        }
    }

    /// The labels that the selected series may have.
    pub(crate) fn labels(&self, selector: &VectorSelector) -> Result<BTreeSet<String>, String> {
        let name = selector.name.as_deref().ok_or_else(|| format!("{selector} has no name"))?;
        if let Some((_, labels)) = FOREIGN.into_iter().find(|(foreign, _)| *foreign == name) {
            return Ok(owned(&[&["cluster", "namespace"], labels].concat()));
        }
        if alerts::recorded().contains(name) {
            return Ok(owned(&["cluster", "namespace", "job"]));
        }
        let series = self.0.get(name).ok_or_else(|| format!("nobody exposes {name}"))?;
        let mut labels = owned(&TARGET);
        labels.extend(series.iter().flat_map(BTreeMap::keys).cloned());
        Ok(labels)
    }
}

/// A name without the suffix that a histogram's parts have.
pub(crate) fn family(name: &str) -> &str {
    let part = ["_bucket", "_sum", "_count"].into_iter().find_map(|suffix| name.strip_suffix(suffix));
    part.unwrap_or(name)
}

fn owned(labels: &[&str]) -> BTreeSet<String> {
    labels.iter().map(|label| (*label).to_owned()).collect()
}

/// A line's name and labels; `None` for comments and empty lines.
fn read(line: &str) -> Option<(String, Labels)> {
    let (series, _value) = line.rsplit_once(' ').filter(|_| !line.starts_with('#'))?;
    let Some((name, labels)) = series.split_once('{') else {
        return Some((series.to_owned(), Labels::new()));
    };
    let labels = labels.strip_suffix('}')?.trim_end_matches(',');
    let pairs = labels.split("\",").map(|pair| pair.split_once("=\"").unwrap());
    let pairs = pairs.map(|(name, value)| (name.to_owned(), value.trim_end_matches('"').to_owned()));
    Some((name.to_owned(), pairs.collect()))
}

#[test]
fn every_metric_says_what_it_means() {
    let described = |family: &str| {
        let help = format!("# HELP {family} ");
        PAGES.iter().any(|page| page.lines().any(|line| line.starts_with(&help)))
    };
    let silent: Vec<_> = REAL.families().into_iter().filter(|family| !described(family)).collect();
    assert!(silent.is_empty(), "{silent:?}");
}

#[test]
fn a_line_is_a_name_and_labels() {
    let labels =
        |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    assert_eq!(read("up 1"), Some(("up".to_owned(), Labels::new())));
    let line = "a_bucket{route=\"/products/{id}\",le=\"+Inf\"} 3";
    assert_eq!(
        read(line),
        Some(("a_bucket".to_owned(), labels(&[("route", "/products/{id}"), ("le", "+Inf")])))
    );
    assert_eq!((read("# HELP up 1"), read("")), (None, None));
}
