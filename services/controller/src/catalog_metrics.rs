//! The metrics that name a `ProductCatalog`, made of the objects as the watch shows them: a recorder would go on showing one
//! that was deleted, or given to another release.

use std::fmt::Write as _;

use kube::ResourceExt as _;
use kube::runtime::reflector::Store;

use crate::crd::ProductCatalog;
use crate::decision::{Decision, decide};
use crate::status;

const READY: &str = "farmlokal_catalog_ready";
const REQUESTED: &str = "farmlokal_catalog_flush_requested_timestamp_seconds";
const HEAD: [(&str, &str); 2] = [
    (READY, "1 while nothing is wrong with a ProductCatalog, nor pending unless suspended"),
    (REQUESTED, "Unix time at which the oldest pending flush of a ProductCatalog was asked for"),
];

/// The metrics of this release's catalogues in the Prometheus text format. Only the leader watches, so others have none.
pub(crate) fn render(catalogs: &Store<ProductCatalog>, release: &str) -> String {
    let mut served = catalogs.state_filter(|object| object.spec.release == release);
    served.sort_by_key(|object| object.name_any());
    let mut text = String::new();
    for (metric, help) in HEAD {
        let _ = writeln!(text, "# HELP {metric} {help}\n# TYPE {metric} gauge");
        for object in &served {
            // Neither name needs escapes.
            let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
            if let Some(value) = value(metric, object) {
                let _ = writeln!(text, "{metric}{{namespace=\"{namespace}\",name=\"{name}\"}} {value}");
            }
        }
    }
    text
}

fn value(metric: &str, object: &ProductCatalog) -> Option<i64> {
    let status = object.status.clone().unwrap_or_default();
    let decision = decide(object, &status);
    if metric == READY {
        return Some((status::is_ready(&status) && !matches!(decision, Decision::Flush(_))).into());
    } else if !matches!(decision, Decision::Flush(_) | Decision::Suspended) {
        return None;
    }
    // One that the status does not tell of yet is as old as the last write to the object itself.
    let own = object.managed_fields().iter().filter(|entry| entry.subresource.is_none());
    let written = own.filter_map(|entry| entry.time.as_ref()).max();
    let since = status::pending_since(&status).or(written).or(object.metadata.creation_timestamp.as_ref());
    Some(since?.0.as_second())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use kube::runtime::reflector::store;
    use kube::runtime::watcher::Event;
    use serde_json::json;

    use super::*;
    use crate::error::FlushFailure;
    use crate::tests::{RELEASE, catalog};

    /// The lines of series, after what is shown for this object.
    fn series(object: ProductCatalog) -> Vec<String> {
        let (catalogs, mut writer) = store();
        writer.apply_watcher_event(&Event::Apply(object));
        let text = render(&catalogs, RELEASE);
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    }

    #[test]
    fn an_object_is_shown_with_what_it_is_owed_until_it_is_gone() {
        let ready = |value| format!("{READY}{{namespace=\"farm\",name=\"main\"}} {value}");
        let owed = |since| format!("{REQUESTED}{{namespace=\"farm\",name=\"main\"}} {since}");
        let new = catalog(|o| {
            o["metadata"]["creationTimestamp"] = "1970-01-01T00:01:40Z".into();
            o["metadata"]["managedFields"] = json!([
                { "manager": "kubectl", "time": "1970-01-01T00:03:20Z" },
                { "manager": "us", "subresource": "status", "time": "1970-01-01T00:05:00Z" },
            ]);
        });
        assert_eq!(series(new.clone()), [ready(0), owed(200)]);
        let failure = FlushFailure::Unreachable("the connection is refused");
        let now = Time(k8s_openapi::jiff::Timestamp::from_second(300).unwrap());
        let with = |status| ProductCatalog { status: Some(status), ..new.clone() };
        assert_eq!(
            series(with(status::degraded(<_>::default(), &new, &failure, &now))),
            [ready(0), owed(300)]
        );
        let mut held = with(status::suspended(<_>::default(), &new, &now));
        held.spec.suspend = true;
        assert_eq!(series(held), [ready(1), owed(300)]);
        let flushed = farmlokal_cache::Flushed { keys: 1, took: std::time::Duration::ZERO };
        let cause = crate::decision::Cause::Created;
        let mut done = with(status::flushed(<_>::default(), &new, cause, flushed, &now));
        assert_eq!(series(done.clone()), [ready(1)]);
        // A flush under way: the status does not know of it yet.
        done.metadata.generation = Some(2);
        assert_eq!(series(done), [ready(0), owed(200)]);

        let (catalogs, mut writer) = store();
        writer.apply_watcher_event(&Event::Apply(new.clone()));
        assert!(render(&catalogs, "another").lines().all(|line| line.starts_with('#')));
        writer.apply_watcher_event(&Event::Delete(new));
        assert!(render(&catalogs, RELEASE).lines().all(|line| line.starts_with('#')));
    }
}
