//! Pods: as careful as those of the chart.

use serde_json::json;

use crate::{containers, name, objects, pods};

#[test]
fn images_are_pinned() {
    let Some(objects) = objects() else { return };
    let mut seen = 0;
    for (object, pod) in pods(&objects) {
        for container in containers(pod) {
            let image = container["image"].as_str().unwrap();
            let (path, tag) = image.rsplit_once(':').unwrap_or_else(|| panic!("{image} has no tag"));
            let ours = path.starts_with("localhost/farmlokal-") && tag == "dev";
            // A version of three parts, from a registry that is named: nothing moves under it.
            let version = tag.trim_start_matches('v').split('-').next().unwrap();
            let exact = version.split('.').filter(|part| part.parse::<u32>().is_ok()).count() == 3;
            assert!(
                ours || (exact && path.split('/').next().unwrap().contains('.')),
                "{}: {image}",
                name(object)
            );
            seen += 1;
        }
    }
    assert!(seen >= 8, "only {seen} images");
}

#[test]
fn pods_have_no_rights_that_they_do_not_need() {
    let Some(objects) = objects() else { return };
    for (object, pod) in pods(&objects) {
        let name = name(object);
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{name}");
        assert!(pod["securityContext"]["runAsUser"].as_u64().is_some_and(|user| user > 0), "{name}");
        assert_eq!(pod["securityContext"]["seccompProfile"], json!({"type": "RuntimeDefault"}), "{name}");
        // A Service called redis would set REDIS_PORT to tcp://...
        assert_eq!(pod["enableServiceLinks"], false, "{name}");
        let has_rights = pod["serviceAccountName"].is_string();
        assert!(has_rights || pod["automountServiceAccountToken"] == false, "{name} has a token for nothing");
        for container in containers(pod) {
            let context = &container["securityContext"];
            assert_eq!(context["allowPrivilegeEscalation"], false, "{name}");
            assert_eq!(context["readOnlyRootFilesystem"], true, "{name}");
            assert_eq!(context["capabilities"], json!({"drop": ["ALL"]}), "{name}");
        }
    }
}

#[test]
fn pods_say_what_they_need_and_how_they_are() {
    let Some(objects) = objects() else { return };
    for (object, pod) in pods(&objects) {
        for container in containers(pod) {
            let resources = &container["resources"];
            assert!(resources["requests"]["cpu"].is_string(), "{}", name(object));
            assert!(resources["requests"]["memory"].is_string(), "{}", name(object));
            assert!(resources["limits"]["memory"].is_string(), "{}", name(object));
            if object["kind"] != "Job" {
                assert!(container["readinessProbe"].is_object(), "{} is never asked", name(object));
                assert!(container["livenessProbe"].is_object(), "{} is never asked", name(object));
            }
        }
    }
}
