//! Who may talk to whom.

use serde_json::{Value, json};

use crate::chart::{Objects, render};

/// Ports that the pods of a policy may open connections to.
#[track_caller]
fn egress(objects: &Objects, name: &str) -> Vec<i64> {
    let rules = objects.get("NetworkPolicy", name)["spec"]["egress"].as_array().unwrap();
    let ports = rules.iter().flat_map(|rule| rule["ports"].as_array().unwrap());
    let mut ports: Vec<_> = ports.map(|port| port["port"].as_i64().unwrap()).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// Who may open connections to a port of the API.
#[track_caller]
fn sources<'a>(objects: &'a Objects, name: &str, port: &str) -> &'a Value {
    let rules = objects.get("NetworkPolicy", name)["spec"]["ingress"].as_array().unwrap();
    let found: Vec<_> = rules.iter().filter(|rule| rule["ports"][0]["port"] == port).collect();
    assert_eq!(found.len(), 1);
    &found[0]["from"]
}

fn peer(namespace: &str) -> Value {
    json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}})
}

#[test]
fn pods_reach_what_they_use_and_no_more() {
    let values = json!({"networkPolicy": {"enabled": true}});
    let Some(objects) = render(&values) else { return };
    assert_eq!(egress(&objects, "farmlokal-api"), [53, 3306, 5353, 6379]);
    assert_eq!(egress(&objects, "farmlokal-controller"), [53, 443, 5353, 6379, 6443]);
    assert_eq!(egress(&objects, "farmlokal-seed"), [53, 3306, 5353, 6379]);
    assert_eq!(egress(&objects, "farmlokal-migrate"), [53, 3306, 5353]);
    assert_eq!(egress(&objects, "farmlokal-test"), [53, 5000, 5353]);
    for policy in objects.of_kind("NetworkPolicy") {
        assert_eq!(policy["spec"]["policyTypes"], json!(["Ingress", "Egress"]));
    }
}

#[test]
fn ports_follow_what_is_configured() {
    let values = json!({
        "networkPolicy": {
            "enabled": true, "apiServerPorts": [8443], "databaseTo": [peer("data")],
            "extraEgress": [{"ports": [{"port": 9999}]}],
        },
        "database": {"port": 3307}, "redis": {"port": 6380}, "traces": {"endpoint": "http://collector:4318"},
        "partners": {
            "oauth": {"tokenUrl": "https://id.example/token", "clientId": "shop", "clientSecret": "s"},
            "apiA": {"url": "http://a.example/status"}, "apiB": {"url": "https://b.example:8444/x:1"},
            "webhook": {"callbackUrl": "https://shop.example/webhook"},
        },
        "auth": {
            "issuer": "https://id.example:9443/", "audience": "shop", "jwksUrl": "https://keys.example:9444/jwks",
            "tokenUrl": "https://id.example:9445/token",
        },
    });
    let Some(objects) = render(&values) else { return };
    assert_eq!(
        egress(&objects, "farmlokal-api"),
        [53, 80, 443, 3307, 4318, 5353, 6380, 8444, 9443, 9444, 9999]
    );
    assert_eq!(egress(&objects, "farmlokal-controller"), [53, 4318, 5353, 6380, 8443, 9999]);
    assert_eq!(egress(&objects, "farmlokal-seed"), [53, 3307, 5353, 6380, 9999]);
    assert_eq!(egress(&objects, "farmlokal-migrate"), [53, 3307, 5353, 9999]);
    let rules = objects.get("NetworkPolicy", "farmlokal-api")["spec"]["egress"].as_array().unwrap();
    let database = rules.iter().find(|rule| rule["ports"][0]["port"] == 3307).unwrap();
    assert_eq!(database["to"], json!([peer("data")]));
}

#[test]
fn the_api_alone_reaches_the_read_replica() {
    let values = json!({"networkPolicy": {"enabled": true}, "database": {"replica": {"host": "replica", "port": 3307}}});
    let Some(objects) = render(&values) else { return };
    assert_eq!(egress(&objects, "farmlokal-api"), [53, 3306, 3307, 5353, 6379]);
    assert_eq!(egress(&objects, "farmlokal-seed"), [53, 3306, 5353, 6379]);
    assert_eq!(egress(&objects, "farmlokal-migrate"), [53, 3306, 5353]);
}

/// The chart does not know the URL: it is in a Secret.
#[test]
fn with_a_url_of_redis_its_sentinels_are_reached() {
    let values =
        json!({"networkPolicy": {"enabled": true}, "redis": {"existingSecret": "redis", "urlKey": "url"}});
    let Some(objects) = render(&values) else { return };
    assert_eq!(egress(&objects, "farmlokal-api"), [53, 3306, 5353, 6379, 26379]);
    assert_eq!(egress(&objects, "farmlokal-controller"), [53, 443, 5353, 6379, 6443, 26379]);
    assert_eq!(egress(&objects, "farmlokal-seed"), [53, 3306, 5353, 6379, 26379]);
}

#[test]
fn the_api_alone_reaches_opensearch() {
    for search in [json!({"url": "https://search:9443/shop"}), json!({"existingSecret": "s", "port": 9443})] {
        let values = json!({"networkPolicy": {"enabled": true}, "api": {"search": search}});
        let Some(objects) = render(&values) else { return };
        assert_eq!(egress(&objects, "farmlokal-api"), [53, 3306, 5353, 6379, 9443]);
        assert_eq!(egress(&objects, "farmlokal-seed"), [53, 3306, 5353, 6379]);
    }
}

/// A policy is about pods, whatever port their Service has.
#[test]
fn the_ports_of_pods_may_differ_from_those_of_services() {
    let values =
        json!({"networkPolicy": {"enabled": true, "databasePorts": [13306], "redisPorts": [16379, 26379]}});
    let Some(objects) = render(&values) else { return };
    assert_eq!(egress(&objects, "farmlokal-api"), [53, 5353, 13306, 16379, 26379]);
    assert_eq!(egress(&objects, "farmlokal-migrate"), [53, 5353, 13306]);
}

#[test]
fn only_those_who_are_named_get_in() {
    let Some(objects) = render(&json!({"networkPolicy": {"enabled": true}})) else { return };
    assert_eq!(
        *sources(&objects, "farmlokal-api", "http"),
        Value::Null,
        "everybody, until somebody is named"
    );

    let policy =
        json!({"enabled": true, "ingressFrom": [peer("ingress")], "monitoringFrom": [peer("monitoring")]});
    let objects = render(&json!({"networkPolicy": policy, "sandbox": {"enabled": true}})).unwrap();
    let from = sources(&objects, "farmlokal-api", "http").as_array().unwrap();
    assert_eq!(from[0], peer("ingress"));
    // The release's own: webhooks of the sandbox, and its test.
    assert_eq!(from[1]["podSelector"]["matchExpressions"][0]["values"], json!(["sandbox", "test"]));
    assert_eq!(from.len(), 2);
    for name in ["farmlokal-api", "farmlokal-controller", "farmlokal-seed"] {
        assert_eq!(*sources(&objects, name, "management"), json!([peer("monitoring")]), "{name}");
    }
    let from = sources(&objects, "farmlokal-sandbox", "http");
    assert_eq!(from[0]["podSelector"]["matchLabels"]["app.kubernetes.io/component"], "api");
    assert_eq!(egress(&objects, "farmlokal-api"), [53, 3306, 5100, 5353, 6379]);
    assert_eq!(egress(&objects, "farmlokal-sandbox"), [53, 5000, 5353]);
    let auth = json!({"issuer": "https://id.example", "audience": "shop"});
    let objects =
        render(&json!({"networkPolicy": policy, "sandbox": {"enabled": true}, "auth": auth})).unwrap();
    assert_eq!(egress(&objects, "farmlokal-api"), [53, 443, 3306, 5100, 5353, 6379]);
}
