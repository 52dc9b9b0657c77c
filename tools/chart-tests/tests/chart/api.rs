//! The API: its Deployment, its settings, its Service, Ingress and scaling.

use serde_json::{Value, json};

use crate::chart::{Objects, env, find_env, render, secret_of};

#[track_caller]
fn pod_of(objects: &Objects) -> &Value {
    &objects.get("Deployment", "farmlokal-api")["spec"]["template"]["spec"]
}

#[test]
fn a_rolling_update_never_has_fewer_pods() {
    let Some(objects) = render(&json!({"api": {"replicas": 3}})) else { return };
    let spec = &objects.get("Deployment", "farmlokal-api")["spec"];
    assert_eq!(spec["replicas"], 3);
    assert_eq!(spec["strategy"]["rollingUpdate"], json!({"maxUnavailable": 0, "maxSurge": 1}));
}

#[test]
fn the_three_probes_ask_three_things() {
    let Some(objects) = render(&json!({})) else { return };
    let container = objects.container("farmlokal-api");
    assert_eq!(container["startupProbe"]["tcpSocket"]["port"], "http");
    let asks = |probe: &str| {
        container[probe]["httpGet"]["path"].as_str().map(|path| (path, &container[probe]["httpGet"]["port"]))
    };
    assert_eq!(asks("readinessProbe"), Some(("/readyz", &json!("management"))));
    assert_eq!(asks("livenessProbe"), Some(("/livez", &json!("management"))));
    // A pod leaves the Service long before it is killed.
    let patience = |probe: &str| {
        container[probe]["periodSeconds"].as_i64().unwrap()
            * container[probe]["failureThreshold"].as_i64().unwrap()
    };
    assert!(patience("readinessProbe") * 3 < patience("livenessProbe"));
}

#[test]
fn ports_are_those_that_the_settings_say() {
    let Some(objects) = render(&json!({})) else { return };
    let (config, container) = (objects.config(), objects.container("farmlokal-api"));
    let port = |name: &str| {
        let ports = container["ports"].as_array().unwrap();
        ports.iter().find(|port| port["name"] == name).unwrap()["containerPort"].to_string()
    };
    assert_eq!((config["PORT"].as_str().unwrap(), port("http").as_str()), ("5000", "5000"));
    assert_eq!((config["MANAGEMENT_PORT"].as_str().unwrap(), port("management").as_str()), ("9090", "9090"));
    let service = &objects.get("Service", "farmlokal-api")["spec"];
    let ports: Vec<_> =
        service["ports"].as_array().unwrap().iter().map(|p| (&p["port"], &p["targetPort"])).collect();
    assert_eq!(ports, [(&json!(80), &json!("http")), (&json!(9090), &json!("management"))]);
    assert_eq!(container["envFrom"], json!([{"configMapRef": {"name": "farmlokal-api"}}]));
}

/// Delay, requests in flight and 5 s to close down fit into what Kubernetes gives the pod.
#[test]
fn shutdown_fits_into_the_grace_period() {
    for (values, grace, delay, timeout) in [
        (json!({}), 30, "5s", "20s"),
        (json!({"api": {"terminationGracePeriodSeconds": 60}}), 60, "5s", "50s"),
        (json!({"api": {"terminationGracePeriodSeconds": 60, "shutdownDelaySeconds": 15}}), 60, "15s", "40s"),
        (json!({"api": {"terminationGracePeriodSeconds": 6, "shutdownDelaySeconds": 0}}), 6, "0s", "1s"),
    ] {
        let Some(objects) = render(&values) else { return };
        assert_eq!(pod_of(&objects)["terminationGracePeriodSeconds"], grace, "{values}");
        assert_eq!(objects.config()["SHUTDOWN_DELAY"], delay, "{values}");
        assert_eq!(objects.config()["SHUTDOWN_TIMEOUT"], timeout, "{values}");
    }
}

#[test]
fn settings_become_text_as_the_program_reads_it() {
    let config = json!({
        "CACHE_TTL": "300s", "LOCAL_CACHE": false, "MAX_REQUESTS": 1_000_000, "RATE_LIMIT": "1000000/1", "TRUSTED_HOPS": 0,
    });
    let Some(objects) = render(&json!({"api": {"config": config}})) else { return };
    let config = objects.config();
    assert_eq!(config["CACHE_TTL"], "300s");
    assert_eq!(config["LOCAL_CACHE"], "false");
    assert_eq!(config["MAX_REQUESTS"], "1000000");
    assert_eq!(config["RATE_LIMIT"], "1000000/1");
    assert_eq!(config["TRUSTED_HOPS"], "0");
}

#[test]
fn a_change_of_settings_or_secrets_replaces_pods_and_nothing_else_does() {
    let annotations = |values: Value| {
        let objects = render(&values)?;
        let of =
            |name| objects.get("Deployment", name)["spec"]["template"]["metadata"]["annotations"].clone();
        Some((of("farmlokal-api"), of("farmlokal-controller")))
    };
    let Some((api, controller)) = annotations(json!({})) else { return };
    let unrelated = json!({"seed": {"rows": 5}, "dashboards": {"enabled": true}, "api": {"replicas": 7}});
    assert_eq!(annotations(unrelated).unwrap(), (api.clone(), controller.clone()));

    let (changed, same) = annotations(json!({"api": {"config": {"CACHE_TTL": "1s"}}})).unwrap();
    assert_ne!(changed["checksum/config"], api["checksum/config"]);
    assert_eq!((&changed["checksum/secret"], same), (&api["checksum/secret"], controller.clone()));

    let (changed, same) = annotations(json!({"database": {"password": "p"}})).unwrap();
    assert_eq!(changed["checksum/config"], api["checksum/config"]);
    assert_ne!(changed["checksum/secret"], api["checksum/secret"]);
    assert_eq!(same, controller, "the controller has no password of the database");

    let (changed, too) = annotations(json!({"redis": {"password": "p"}})).unwrap();
    assert_ne!(changed["checksum/secret"], api["checksum/secret"]);
    assert_ne!(too["checksum/secret"], controller["checksum/secret"]);
}

/// Its pods have no index, and need no memory for one, but some for many changes at once.
#[test]
fn opensearch_is_a_url_or_a_secret_of_the_api() {
    let with = |search: Value| {
        let small = json!({"limits": {"memory": "256Mi"}});
        render(&json!({"api": {"search": search, "resources": small}}))
    };
    let variable = |search: Value| {
        let objects = with(search)?;
        let variables = objects.container("farmlokal-api")["env"].as_array().unwrap().clone();
        Some(variables.into_iter().find(|one| one["name"] == "SEARCH_URL").unwrap())
    };
    let Some(plain) = variable(json!({"url": "http://search:9200"})) else { return };
    assert_eq!(plain["value"], "http://search:9200");
    let secret =
        variable(json!({"url": "http://search:9200", "existingSecret": "s", "urlKey": "k"})).unwrap();
    assert_eq!(secret["valueFrom"]["secretKeyRef"], json!({"name": "s", "key": "k"}));
}

/// The program reads a file, and a change of it replaces the pods.
#[test]
fn synonyms_are_a_file_of_the_api() {
    let Some(objects) = render(&json!({})) else { return };
    assert_eq!(objects.config().get("SEARCH_SYNONYMS"), None);
    assert!(pod_of(&objects).get("volumes").is_none());

    let with = |groups: Value| render(&json!({"api": {"search": {"synonyms": groups}}})).unwrap();
    let objects = with(json!(["brinjal, aubergine", "okra, भिंडी"]));
    let file = objects.config()["SEARCH_SYNONYMS"].as_str().unwrap();
    let mount = &objects.container("farmlokal-api")["volumeMounts"][0];
    let volume = &pod_of(&objects)["volumes"][0];
    assert_eq!(mount["name"], volume["name"]);
    let key = file.strip_prefix(mount["mountPath"].as_str().unwrap()).unwrap().trim_start_matches('/');
    let map = objects.get("ConfigMap", volume["configMap"]["name"].as_str().unwrap());
    assert_eq!(map["data"][key], "brinjal, aubergine\nokra, भिंडी\n");

    let checksum = |objects: &Objects| {
        let template = &objects.get("Deployment", "farmlokal-api")["spec"]["template"];
        template["metadata"]["annotations"]["checksum/synonyms"].clone()
    };
    assert!(checksum(&objects).is_string());
    assert_ne!(checksum(&objects), checksum(&with(json!(["brinjal, eggplant"]))));
}

#[test]
fn an_ingress_leads_to_the_api_alone_and_is_believed() {
    let values = json!({"ingress": {
        "enabled": true, "className": "traefik", "hosts": ["shop.example", "b.example"], "annotations": {"a": "b"},
        "tls": {"enabled": true, "secretName": "cert"},
    }});
    let Some(objects) = render(&values) else { return };
    let ingress = objects.get("Ingress", "farmlokal-api");
    let backend = json!({"service": {"name": "farmlokal-api", "port": {"name": "http"}}});
    let http = json!({"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]});
    assert_eq!(ingress["metadata"]["annotations"], json!({"a": "b"}));
    assert_eq!(
        ingress["spec"],
        json!({
            "ingressClassName": "traefik",
            "tls": [{"secretName": "cert", "hosts": ["shop.example", "b.example"]}],
            "rules": [{"host": "shop.example", "http": http}, {"host": "b.example", "http": http}],
        })
    );
    assert_eq!(objects.config()["TRUSTED_HOPS"], "1");
    assert_eq!(objects.config().get("TRUSTED_PROXIES"), None);

    let values =
        json!({"ingress": {"enabled": true, "trustedHops": 2, "trustedProxies": ["10.0.0.0/8", "fd00::/8"]}});
    let objects = render(&values).unwrap();
    assert_eq!(objects.config()["TRUSTED_HOPS"], "2");
    assert_eq!(objects.config()["TRUSTED_PROXIES"], "10.0.0.0/8,fd00::/8");
    let spec = &objects.get("Ingress", "farmlokal-api")["spec"];
    assert!(spec.get("tls").is_none() && spec.get("ingressClassName").is_none());
    assert!(spec["rules"][0].get("host").is_none());

    // Without an ingress nobody is.
    let objects = render(&json!({})).unwrap();
    assert_eq!(objects.config().get("TRUSTED_HOPS"), None);
}

#[test]
fn autoscaling_decides_how_many_pods_there_are() {
    let scaling =
        json!({"enabled": true, "minReplicas": 3, "maxReplicas": 9, "targetCPUUtilizationPercentage": 55});
    let Some(objects) = render(&json!({"api": {"autoscaling": scaling}})) else { return };
    assert!(objects.get("Deployment", "farmlokal-api")["spec"].get("replicas").is_none());
    let spec = &objects.get("HorizontalPodAutoscaler", "farmlokal-api")["spec"];
    assert_eq!((&spec["minReplicas"], &spec["maxReplicas"]), (&json!(3), &json!(9)));
    assert_eq!(spec["scaleTargetRef"]["name"], "farmlokal-api");
    assert_eq!(spec["metrics"].as_array().unwrap().len(), 1);
    let cpu = &spec["metrics"][0]["containerResource"];
    assert_eq!((&cpu["container"], &cpu["target"]["averageUtilization"]), (&json!("api"), &json!(55)));

    let scaling = json!({"enabled": true, "requestsPerSecond": 2_000_000});
    let objects = render(&json!({"api": {"autoscaling": scaling}})).unwrap();
    let pods = &objects.get("HorizontalPodAutoscaler", "farmlokal-api")["spec"]["metrics"][1]["pods"];
    assert_eq!(pods["metric"]["name"], "http_server_requests_per_second");
    assert_eq!(pods["target"], json!({"type": "AverageValue", "averageValue": "2000000"}));
}

#[test]
fn pods_spread_by_revision() {
    let Some(objects) = render(&json!({})) else { return };
    let constraints = pod_of(&objects)["topologySpreadConstraints"].as_array().unwrap();
    let keys: Vec<_> = constraints.iter().map(|constraint| &constraint["topologyKey"]).collect();
    assert_eq!(keys, ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]);
    for constraint in constraints {
        assert_eq!(constraint["whenUnsatisfiable"], "ScheduleAnyway");
        assert_eq!(constraint["matchLabelKeys"], json!(["pod-template-hash"]));
    }
    for values in [json!({"pods": {"topologySpread": []}}), json!({"api": {"pods": {"topologySpread": []}}})]
    {
        let objects = render(&values).unwrap();
        assert!(pod_of(&objects).get("topologySpreadConstraints").is_none());
    }
}

#[test]
fn traces_go_to_the_collector_with_the_name_of_the_pod() {
    let traces = json!({"endpoint": "http://collector:4317", "protocol": "grpc", "ratio": 0.01});
    let Some(objects) = render(&json!({"traces": traces})) else { return };
    for name in ["farmlokal-api", "farmlokal-controller"] {
        let container = objects.container(name);
        assert_eq!(env(container, "OTEL_EXPORTER_OTLP_ENDPOINT")["value"], "http://collector:4317");
        assert_eq!(env(container, "OTEL_EXPORTER_OTLP_PROTOCOL")["value"], "grpc");
        assert_eq!(env(container, "OTEL_TRACES_SAMPLER_ARG")["value"], "0.01");
        // A variable can only be used after it is defined.
        let names: Vec<_> = container["env"].as_array().unwrap().iter().map(|entry| &entry["name"]).collect();
        let place = |name: &str| names.iter().position(|other| *other == name).unwrap();
        assert!(place("POD_NAME") < place("OTEL_RESOURCE_ATTRIBUTES"));
    }
    let objects = render(&json!({})).unwrap();
    assert!(find_env(objects.container("farmlokal-api"), "OTEL_EXPORTER_OTLP_ENDPOINT").is_none());
}

#[test]
fn the_sandbox_is_what_the_api_calls() {
    let Some(objects) = render(&json!({"sandbox": {"enabled": true}})) else { return };
    let (config, container) = (objects.config(), objects.container("farmlokal-api"));
    assert_eq!(config["OAUTH_TOKEN_URL"], "http://farmlokal-sandbox:5100/oauth/token");
    assert_eq!(config["OAUTH_CLIENT_ID"], "farmlokal");
    assert_eq!(config["API_A_URL"], "http://farmlokal-sandbox:5100/api-a/status");
    assert_eq!(config["API_B_URL"], "http://farmlokal-sandbox:5100/api-b");
    assert_eq!(config["WEBHOOK_CALLBACK_URL"], "http://farmlokal-api/webhook");
    assert_eq!(secret_of(container, "OAUTH_CLIENT_SECRET"), "farmlokal/OAUTH_CLIENT_SECRET");
    assert_eq!(secret_of(container, "WEBHOOK_SECRETS"), "farmlokal/WEBHOOK_SECRETS");
    let sandbox = objects.container("farmlokal-sandbox");
    // What its tokens say is what the API is told, and where it finds the keys.
    assert_eq!(config["AUTH_ISSUER"], "http://farmlokal-sandbox:5100");
    assert_eq!(config["AUTH_ISSUER"], env(sandbox, "SANDBOX_ISSUER")["value"]);
    assert_eq!(config["AUTH_AUDIENCE"], "https://api.farmlokal.example");
    let service = &objects.get("Service", "farmlokal-sandbox")["spec"];
    assert_eq!(service["ports"][0]["port"], 5100);
    assert_eq!(env(sandbox, "SANDBOX_HOST")["value"], "0.0.0.0");
    assert_eq!(objects.get("Deployment", "farmlokal-sandbox")["spec"]["strategy"]["type"], "Recreate");
}

#[test]
fn an_issuer_lets_its_clients_write_and_without_one_nobody_does() {
    let settings = |objects: &Objects| {
        let config = objects.config().as_object().unwrap();
        config.keys().filter(|name| name.starts_with("AUTH_")).cloned().collect::<Vec<_>>()
    };
    let Some(objects) = render(&json!({})) else { return };
    assert_eq!(settings(&objects), Vec::<String>::new());

    let mut auth = json!({"issuer": "https://id.example/", "audience": "https://shop.example"});
    let objects = render(&json!({"auth": auth})).unwrap();
    assert_eq!(settings(&objects), ["AUTH_AUDIENCE", "AUTH_ISSUER"]);
    auth["jwksUrl"] = "https://keys.example/jwks?v=1".into();
    auth["tokenUrl"] = "http://localhost:5100/oauth/token".into();
    auth["scope"] = "shop:write".into();
    auth["leeway"] = "5s".into();
    // The sandbox stands in for partners only, then.
    for sandbox in [false, true] {
        let objects = render(&json!({"auth": auth, "sandbox": {"enabled": sandbox}})).unwrap();
        let config = objects.config();
        assert_eq!(config["AUTH_ISSUER"], "https://id.example/");
        assert_eq!(config["AUTH_AUDIENCE"], "https://shop.example");
        assert_eq!(config["AUTH_JWKS_URL"], "https://keys.example/jwks?v=1");
        assert_eq!(config["AUTH_TOKEN_URL"], "http://localhost:5100/oauth/token");
        assert_eq!((&config["AUTH_SCOPE"], &config["AUTH_LEEWAY"]), (&json!("shop:write"), &json!("5s")));
    }
}
