//! What platform teams set for all charts of a cluster, and for one component.

use farmlokal_chart_tests::{Tool, repository, yaml};
use serde_json::{Value, json};

use crate::chart::{KUBERNETES, Objects, env, name_of, render, run, variants};

fn image<'a>(objects: &'a Objects, name: &str) -> &'a str {
    let pods = objects.pods();
    let (_, pod) = pods.into_iter().find(|(other, _)| other == name).unwrap();
    pod["spec"]["containers"][0]["image"].as_str().unwrap()
}

#[test]
fn each_component_may_have_an_image_of_its_own() {
    let digest = format!("sha256:{}", "5".repeat(64));
    let mut values = json!({
        "image": {"tag": "1.2.3"}, "sandbox": {"enabled": true},
        "api": {"image": {"digest": digest}},
        "controller": {"image": {"repository": "quay.io/shop/controller", "tag": "9"}},
        "seed": {"image": {"repository": "shop/seed"}},
    });
    let Some(objects) = render(&values) else { return };
    let api = format!("ghcr.io/farmlokal/farmlokal-api@{digest}");
    assert_eq!(image(&objects, "Deployment/farmlokal-api"), api);
    assert_eq!(image(&objects, "Job/farmlokal-migrate"), api);
    assert_eq!(image(&objects, "Deployment/farmlokal-controller"), "quay.io/shop/controller:9");
    assert_eq!(image(&objects, "CronJob/farmlokal-seed"), "shop/seed:1.2.3");
    assert_eq!(image(&objects, "Deployment/farmlokal-sandbox"), "ghcr.io/farmlokal/farmlokal-sandbox:1.2.3");

    values["global"] = json!({"imageRegistry": "mirror.example:5000", "anotherCharts": true});
    let objects = render(&values).unwrap();
    for (name, expected) in [
        ("Deployment/farmlokal-api", &*format!("farmlokal/farmlokal-api@{digest}")),
        ("Deployment/farmlokal-controller", "shop/controller:9"),
        ("CronJob/farmlokal-seed", "shop/seed:1.2.3"),
        ("Deployment/farmlokal-sandbox", "farmlokal/farmlokal-sandbox:1.2.3"),
    ] {
        assert_eq!(image(&objects, name), format!("mirror.example:5000/{expected}"));
    }
}

#[test]
fn secrets_of_registries_come_from_the_chart_and_from_its_parent() {
    let values = json!({
        "global": {"imagePullSecrets": ["one", {"name": "two"}]}, "imagePullSecrets": [{"name": "two"}, {"name": "three"}],
    });
    let Some(objects) = render(&values) else { return };
    for (name, pod) in objects.pods() {
        let expected = json!([{"name": "one"}, {"name": "two"}, {"name": "three"}]);
        assert_eq!(pod["spec"]["imagePullSecrets"], expected, "{name}");
    }
}

#[test]
fn common_labels_and_annotations_are_on_every_object() {
    let values = json!({
        "commonLabels": {"team": "shop", "helm.sh/chart": "ours"}, "commonAnnotations": {"team": "shop"},
        "pods": {"labels": {"helm.sh/chart": "pods"}},
    });
    let mut all = variants().into_iter();
    for variant in &mut all {
        let mut merged = variant.clone();
        merged.as_object_mut().unwrap().extend(values.as_object().unwrap().clone());
        let Some(objects) = render(&merged) else { return };
        for object in objects.all.iter().filter(|object| object["kind"] != "CustomResourceDefinition") {
            let (name, metadata) = (name_of(object), &object["metadata"]);
            assert_eq!(metadata["labels"]["team"], "shop", "{name}");
            assert_eq!(metadata["labels"]["helm.sh/chart"], "ours", "{name}");
            assert_eq!(metadata["annotations"]["team"], "shop", "{name}");
        }
        for (name, pod) in objects.pods() {
            assert_eq!(pod["metadata"]["labels"]["team"], "shop", "{name}");
            assert_eq!(pod["metadata"]["labels"]["helm.sh/chart"], "pods", "{name}");
        }
    }
}

#[test]
fn a_components_pods_differ_from_the_others_where_it_says_so() {
    let own = json!({
        "labels": {"tier": "front"}, "annotations": {"note": "front"}, "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "front"}], "affinity": {"podAffinity": {}}, "priorityClassName": "high",
        "containerSecurityContext": {"readOnlyRootFilesystem": false},
    });
    let general = json!({
        "labels": {"tier": "back", "team": "shop"}, "annotations": {"note": "back"}, "nodeSelector": {"zone": "a"},
        "tolerations": [{"key": "back"}], "affinity": {"nodeAffinity": {}}, "priorityClassName": "low",
    });
    for (component, pod_of) in [
        ("api", "Deployment/farmlokal-api"),
        ("controller", "Deployment/farmlokal-controller"),
        ("sandbox", "Deployment/farmlokal-sandbox"),
        ("seed", "CronJob/farmlokal-seed"),
        ("migrate", "Job/farmlokal-migrate"),
    ] {
        let mut values = json!({"pods": general, "sandbox": {"enabled": true}});
        values[component]["pods"] = own.clone();
        let Some(objects) = render(&values) else { return };
        for (name, pod) in objects.pods() {
            // It shares what the migration has.
            let is_own = name == pod_of || (component == "migrate" && name == "Job/farmlokal-test");
            let (metadata, spec) = (&pod["metadata"], &pod["spec"]);
            let which = |own: &str, general: &str| if is_own { own.to_owned() } else { general.to_owned() };
            assert_eq!(metadata["labels"]["tier"], which("front", "back"), "{name}");
            assert_eq!(metadata["labels"]["team"], "shop", "{name}");
            assert_eq!(metadata["annotations"]["note"], which("front", "back"), "{name}");
            assert_eq!(spec["nodeSelector"]["disk"].as_str(), is_own.then_some("ssd"), "{name}");
            assert_eq!(spec["nodeSelector"]["zone"], "a", "{name}");
            assert_eq!(spec["tolerations"], json!([{"key": which("front", "back")}]), "{name}");
            assert_eq!(spec["affinity"].get("podAffinity").is_some(), is_own, "{name}");
            assert_eq!(spec["priorityClassName"], which("high", "low"), "{name}");
            let context = &spec["containers"][0]["securityContext"];
            assert_eq!(context["readOnlyRootFilesystem"], !is_own, "{name}");
            assert_eq!(context["allowPrivilegeEscalation"], false, "{name}");
        }
    }
}

/// What a chart renders that has ours as these dependencies.
fn render_parent(dependencies: &[Value], values: &Value) -> Option<Objects> {
    let parent = tempfile::tempdir().unwrap();
    let chart =
        json!({"apiVersion": "v2", "name": "umbrella", "version": "1.0.0", "dependencies": dependencies});
    std::fs::write(parent.path().join("Chart.yaml"), chart.to_string()).unwrap();
    std::fs::create_dir(parent.path().join("charts")).unwrap();
    let chart = repository("charts/farmlokal").canonicalize().unwrap();
    std::os::unix::fs::symlink(chart, parent.path().join("charts/farmlokal")).unwrap();
    let mut helm = Tool::Helm.command()?;
    helm.args(["template", "shop"]).arg(parent.path());
    helm.args(["--values", "-", "--kube-version", KUBERNETES]);
    let output = run(helm, &values.to_string());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    Some(Objects { all: yaml::documents(&text).unwrap(), text })
}

/// `condition` in the parent is what Helm has for that; global values are there for all charts.
#[test]
fn a_parent_includes_the_chart_or_leaves_it_out() {
    let dependency =
        json!({"name": "farmlokal", "version": env!("CARGO_PKG_VERSION"), "condition": "farmlokal.enabled"});
    let render = |enabled: bool| {
        let values =
            json!({"global": {"imageRegistry": "mirror.example"}, "farmlokal": {"enabled": enabled}});
        render_parent(std::slice::from_ref(&dependency), &values)
    };
    let Some(objects) = render(true) else { return };
    let expected = format!("mirror.example/farmlokal/farmlokal-api:{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(image(&objects, "Deployment/shop-farmlokal-api"), expected);
    assert_eq!(render(false).unwrap().all, Vec::<Value>::new());
}

/// Both are of one release of Helm's: what keeps their controllers apart cannot be its name.
#[test]
fn a_parent_that_includes_the_chart_twice_has_two_catalogues_apart() {
    let dependency =
        |alias| json!({"name": "farmlokal", "alias": alias, "version": env!("CARGO_PKG_VERSION")});
    let Some(objects) = render_parent(&[dependency("farm"), dependency("house")], &json!({})) else { return };
    for alias in ["farm", "house"] {
        let name = format!("shop-{alias}");
        let controller = objects.container(&format!("{name}-controller"));
        assert_eq!(env(controller, "RELEASE")["value"], name);
        assert_eq!(objects.get("ProductCatalog", &name)["spec"]["release"], name);
    }
}

/// Whoever takes a default back by null gets what an empty value gives.
#[test]
fn what_is_null_is_empty() {
    let empty = json!({
        "commonLabels": {}, "commonAnnotations": {}, "imagePullSecrets": [], "pods": {"labels": {}, "annotations": {}},
        "api": {"annotations": {}, "extraEnv": [], "envFrom": [], "service": {"annotations": {}}},
        "ingress": {"enabled": true, "annotations": {}},
    });
    let null = json!({
        "commonLabels": null, "commonAnnotations": null, "imagePullSecrets": null, "pods": {"labels": null, "annotations": null},
        "api": {"annotations": null, "extraEnv": null, "envFrom": null, "service": {"annotations": null}},
        "ingress": {"enabled": true, "annotations": null},
    });
    let Some(expected) = render(&empty) else { return };
    assert_eq!(render(&null).unwrap().all, expected.all);
}

/// `OpenShift` gives each namespace users of its own.
#[test]
fn the_user_may_be_left_to_the_cluster() {
    let values = json!({"pods": {"securityContext": {"runAsUser": null, "runAsGroup": null}}});
    let Some(objects) = render(&values) else { return };
    for (name, pod) in objects.pods() {
        let expected = json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}});
        assert_eq!(pod["spec"]["securityContext"], expected, "{name}");
    }
}

#[test]
fn deployments_services_and_accounts_have_annotations_of_their_own() {
    let values = json!({
        "api": {"annotations": {"a": "1"}, "service": {"annotations": {"a": "2"}}, "serviceAccount": {"annotations": {"a": "3"}}},
        "controller": {"annotations": {"a": "4"}, "serviceAccount": {"annotations": {"a": "5"}}},
    });
    let Some(objects) = render(&values) else { return };
    for (kind, name, expected) in [
        ("Deployment", "farmlokal-api", "1"),
        ("Service", "farmlokal-api", "2"),
        ("ServiceAccount", "farmlokal-api", "3"),
        ("Deployment", "farmlokal-controller", "4"),
        ("ServiceAccount", "farmlokal-controller", "5"),
    ] {
        assert_eq!(
            objects.get(kind, name)["metadata"]["annotations"],
            json!({"a": expected}),
            "{kind} {name}"
        );
    }
}

#[test]
fn accounts_may_be_there_already() {
    let accounts = json!({
        "api": {"serviceAccount": {"create": false, "name": "ours"}},
        "controller": {"serviceAccount": {"name": "named"}},
    });
    let Some(objects) = render(&accounts) else { return };
    for (name, pod) in objects.pods() {
        let expected = if name.ends_with("-controller") { "named" } else { "ours" };
        assert_eq!(pod["spec"]["serviceAccountName"], expected, "{name}");
    }
    assert_eq!(objects.get("RoleBinding", "farmlokal-controller")["subjects"][0]["name"], "named");
    assert!(
        objects.find("ServiceAccount", "named").is_some() && objects.find("ServiceAccount", "ours").is_none()
    );

    let objects = render(&json!({"api": {"serviceAccount": {"create": false}}})).unwrap();
    let account = |name| &objects.get("Deployment", name)["spec"]["template"]["spec"]["serviceAccountName"];
    assert_eq!(account("farmlokal-api"), "default");
}

#[test]
fn everybody_listens_where_the_value_says() {
    for address in ["0.0.0.0", "::"] {
        let Some(objects) = render(&json!({"listen": address, "sandbox": {"enabled": true}})) else { return };
        assert_eq!(objects.config()["HOST"], address);
        assert_eq!(env(objects.container("farmlokal-controller"), "HOST")["value"], address);
        assert_eq!(env(objects.container("farmlokal-sandbox"), "SANDBOX_HOST")["value"], address);
        let seed =
            &objects.get("CronJob", "farmlokal-seed")["spec"]["jobTemplate"]["spec"]["template"]["spec"];
        assert_eq!(env(&seed["containers"][0], "HOST")["value"], address);
    }
}

/// `/metrics` and `/health` are for the cluster.
#[test]
fn the_management_port_stays_inside() {
    for kind in ["LoadBalancer", "NodePort"] {
        let service = json!({"type": kind, "annotations": {"a": "b"}, "ipFamilyPolicy": "PreferDualStack"});
        let Some(objects) = render(&json!({"api": {"service": service}})) else { return };
        let (inside, outside) =
            (objects.get("Service", "farmlokal-api"), objects.get("Service", "farmlokal-api-external"));
        assert_eq!((&inside["spec"]["type"], &outside["spec"]["type"]), (&json!("ClusterIP"), &json!(kind)));
        assert_eq!(inside["spec"]["selector"], outside["spec"]["selector"]);
        let ports = |service: &Value| {
            service["spec"]["ports"]
                .as_array()
                .unwrap()
                .iter()
                .map(|port| port["name"].clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            (ports(inside), ports(outside)),
            (vec![json!("http"), json!("management")], vec![json!("http")])
        );
        for service in [inside, outside] {
            assert_eq!(service["spec"]["ipFamilyPolicy"], "PreferDualStack");
        }
        assert_eq!(outside["metadata"]["annotations"], json!({"a": "b"}));
    }
}

#[test]
fn a_route_of_the_gateway_api_leads_to_the_api_and_is_believed() {
    let gateway = json!({"enabled": true, "parentRefs": [{"name": "public", "namespace": "gateways"}], "hostnames": ["shop.example"], "annotations": {"a": "b"}});
    let Some(objects) = render(&json!({"gateway": gateway})) else { return };
    let expected = json!({
        "parentRefs": [{"name": "public", "namespace": "gateways"}], "hostnames": ["shop.example"],
        "rules": [{"backendRefs": [{"name": "farmlokal-api", "port": 80}]}],
    });
    let route = objects.get("HTTPRoute", "farmlokal-api");
    assert_eq!((&route["spec"], &route["metadata"]["annotations"]), (&expected, &json!({"a": "b"})));
    assert_eq!(objects.config()["TRUSTED_HOPS"], "1");
}

#[test]
fn another_autoscaler_may_have_the_number_of_pods() {
    let Some(objects) = render(&json!({"api": {"replicas": null}})) else { return };
    assert!(objects.get("Deployment", "farmlokal-api")["spec"].get("replicas").is_none());
    let objects = render(&json!({"api": {"replicas": 0}})).unwrap();
    assert_eq!(objects.get("Deployment", "farmlokal-api")["spec"]["replicas"], 0);
}
