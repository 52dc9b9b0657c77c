//! The same objects by whatever renders the chart: Helm 3 and 4, an install and an upgrade, kustomize.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use farmlokal_chart_tests::{Tool, repository, yaml};
use serde_json::{Value, json};

use crate::chart::{KUBERNETES, Objects, name_of, render, render_as, render_by, variants};

/// Fields that apply merges by the keys of their items.
const MERGED: &[(&str, &[&str])] = &[
    ("containers", &["name"]),
    ("env", &["name"]),
    ("imagePullSecrets", &["name"]),
    ("ports", &["name"]),
    ("topologySpreadConstraints", &["topologyKey", "whenUnsatisfiable"]),
    ("volumeMounts", &["mountPath"]),
    ("volumes", &["name"]),
];

/// Calls `look` with each list that has one of these keys, wherever it is.
fn for_each_merged<'a>(value: &'a Value, look: &mut impl FnMut(&'a str, &'a [Value], &[&str])) {
    for (field, inner) in value.as_object().into_iter().flatten() {
        if let (Some(list), Some((_, keys))) =
            (inner.as_array(), MERGED.iter().find(|(merged, _)| merged == field))
        {
            look(field, list, keys);
        }
        for_each_merged(inner, look);
    }
    value.as_array().into_iter().flatten().for_each(|item| for_each_merged(item, look));
}

/// In an order that does not depend on who rendered them.
fn sorted(objects: Objects) -> Vec<Value> {
    let mut all = objects.all;
    all.sort_by_key(name_of);
    all
}

#[test]
fn helm_3_and_helm_4_render_alike() {
    for values in variants() {
        let render = |helm| render_by(helm, &["template", "farmlokal"], &values);
        let (Some(old), Some(new)) = (render(Tool::Helm3), render(Tool::Helm4)) else { return };
        assert_eq!(sorted(old), sorted(new), "{values}");
    }
}

#[test]
fn an_upgrade_is_rendered_as_an_install() {
    for values in variants() {
        let Some(install) = render(&values) else { return };
        let upgrade = render_as(&["template", "farmlokal", "--is-upgrade"], &values).unwrap();
        assert_eq!(install.text, upgrade.text, "{values}");
    }
}

/// Argo CD and kustomize know neither a release's history nor what is in the cluster.
#[test]
fn no_template_asks_what_only_helm_knows() {
    let mut folders = vec![repository("charts/farmlokal/templates")];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            for asked in [".Release.Is", ".Release.Revision", "lookup ", "rand", "genCA", "now "] {
                assert!(!text.contains(asked), "{}: {asked}", path.display());
            }
            seen += 1;
        }
    }
    assert!(seen > 25, "{seen}");
}

#[test]
fn no_object_is_there_twice() {
    for values in variants() {
        let Some(objects) = render(&values) else { return };
        let mut seen = BTreeSet::new();
        for object in &objects.all {
            let id = format!("{} {}", object["metadata"]["namespace"], name_of(object));
            assert!(seen.insert(id.clone()), "{values}: {id}");
        }
    }
}

#[test]
fn no_key_is_there_twice() {
    // In maps the parser finds them.
    assert!(yaml::documents("a: 1\na: 2").is_err());
    let mut looked_at = BTreeSet::new();
    for values in variants() {
        let Some(objects) = render(&values) else { return };
        for object in &objects.all {
            for_each_merged(object, &mut |field, list, keys| {
                let mut seen = BTreeSet::new();
                for item in list {
                    let key: Vec<_> = keys.iter().map(|key| item[key].to_string()).collect();
                    // Ports of a policy have no names, and are not merged.
                    let is_new = key == ["null"] || seen.insert(key.clone());
                    assert!(is_new, "{values}: {}: {field} has {key:?} twice", name_of(object));
                    looked_at.insert(field.to_owned());
                }
            });
        }
    }
    assert_eq!(looked_at, MERGED.iter().map(|(field, _)| (*field).to_owned()).collect());
}

/// With kubectl's own, which knows Helm 3; kustomize by itself where there is no kubectl.
#[test]
fn kustomize_builds_the_same_objects() {
    let Some(helm) = Tool::Helm3.command() else { return };
    let (tool, verb) =
        if Tool::Kubectl.is_there() { (Tool::Kubectl, "kustomize") } else { (Tool::Kustomize, "build") };
    for values in variants() {
        let expected = render_as(&["template", "farmlokal", "--include-crds"], &values);
        let Some(expected) = expected else { return };
        let Some(mut kustomize) = tool.command() else { return };
        let folder = tempfile::tempdir().unwrap();
        let kustomization = json!({
            "helmGlobals": {"chartHome": repository("charts").canonicalize().unwrap()},
            "helmCharts": [{
                "name": "farmlokal", "releaseName": "farmlokal", "namespace": "shop", "includeCRDs": true,
                "kubeVersion": KUBERNETES,
                "valuesFile": "values.yaml",
            }],
        });
        fs::write(folder.path().join("kustomization.yaml"), kustomization.to_string()).unwrap();
        fs::write(folder.path().join("values.yaml"), values.to_string()).unwrap();
        // The chart is outside of the folder, which kustomize would not read otherwise.
        kustomize.arg(verb).arg(folder.path()).args(["--load-restrictor", "LoadRestrictionsNone"]);
        kustomize.args(["--enable-helm", "--helm-command"]).arg(helm.get_program());
        let output = kustomize.output().unwrap();
        assert!(output.status.success(), "{values}: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let all = yaml::documents(&text).unwrap();
        let by_name = |objects: &[Value]| -> BTreeMap<String, Value> {
            objects.iter().map(|object| (name_of(object), object.clone())).collect()
        };
        let (found, expected) = (by_name(&all), by_name(&expected.all));
        assert!(found.keys().eq(expected.keys()), "{values}");
        // It writes the numbers of a definition in another way.
        for (name, object) in found.into_iter().filter(|(name, _)| !name.starts_with("CustomResource")) {
            assert_eq!(object, expected[&name], "{name}");
        }
    }
}

/// A Job's spec cannot be changed: what changes it makes another Job, and nothing else does.
#[test]
fn a_job_of_another_spec_has_another_name() {
    let jobs = |values: Value| -> Option<BTreeSet<String>> {
        let mut values = values;
        values["seed"]["whenEmpty"] = true.into();
        let objects = render(&values)?;
        Some(objects.of_kind("Job").map(name_of).collect())
    };
    let Some(jobs_now) = jobs(json!({})) else { return };
    assert_eq!(jobs_now.len(), 3);
    let same =
        json!({"api": {"replicas": 7, "config": {"CACHE_TTL": "1s"}}, "networkPolicy": {"enabled": true}});
    assert_eq!(jobs(same).unwrap(), jobs_now);
    let next = jobs(json!({"image": {"tag": "next"}})).unwrap();
    assert!(next.is_disjoint(&jobs_now), "{next:?}");
    // The test has no database.
    let other = jobs(json!({"database": {"host": "other"}})).unwrap();
    assert_eq!(other.intersection(&jobs_now).count(), 1, "{other:?}");
}
