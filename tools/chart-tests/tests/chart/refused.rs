//! Values that are refused, and with which words: a typing error is found before anything is installed.

use serde_json::{Value, json};

use crate::chart::{refusal, render};

#[track_caller]
fn refused(cases: &[(Value, &str)]) {
    for (values, part) in cases {
        let Some(error) = refusal(values) else { return };
        assert!(error.contains(part), "{values} is refused, but not with {part:?}:\n{error}");
    }
}

#[test]
fn names_that_there_are_not() {
    refused(&[
        (json!({"replicas": 3}), "additional properties 'replicas' not allowed"),
        (json!({"api": {"replica": 3}}), "at '/api': additional properties 'replica' not allowed"),
        (
            json!({"api": {"autoscaling": {"enable": true}}}),
            "'/api/autoscaling': additional properties 'enable'",
        ),
        (json!({"ingress": {"host": "a"}}), "'/ingress': additional properties 'host'"),
        (
            json!({"pods": {"securityContext": {"runAsUsr": 1}}}),
            "'/pods/securityContext': additional properties 'runAsUsr'",
        ),
        (json!({"seed": {"pods": {"label": {}}}}), "'/seed/pods': additional properties 'label'"),
        (json!({"database": {"pasword": "p"}}), "'/database': additional properties 'pasword'"),
        (json!({"api": {"config": {"CAHCE_TTL": "1s"}}}), "'/api/config': additional properties 'CAHCE_TTL'"),
        (json!({"api": {"resources": {"request": {}}}}), "'/api/resources': additional properties 'request'"),
        (json!({"seed": {"row": 5}}), "'/seed': additional properties 'row'"),
        (
            json!({"controller": {"watchNamespace": "*"}}),
            "'/controller': additional properties 'watchNamespace'",
        ),
        (
            json!({"controller": {"resources": {"limits": {"memory": "64 MB"}}}}),
            "'/controller/resources/limits/memory'",
        ),
    ]);
}

/// They would be in the clear in a `ConfigMap`, or contradict what the chart sets.
#[test]
fn settings_that_have_a_place_of_their_own() {
    for name in [
        "DATABASE_READ_URL",
        "DATABASE_URL",
        "DB_PASS",
        "DB_TLS",
        "REDIS_PASSWORD",
        "REDIS_URL",
        "OAUTH_CLIENT_SECRET",
        "AUTH_ISSUER",
        "WEBHOOK_SECRETS",
        "OTEL_EXPORTER_OTLP_HEADERS",
        "PORT",
        "MANAGEMENT_PORT",
        "SEARCH_SYNONYMS",
        "SEARCH_URL",
        "SHUTDOWN_TIMEOUT",
    ] {
        refused(&[(
            json!({"api": {"config": {name: "x"}}}),
            &format!("additional properties '{name}' not allowed"),
        )]);
    }
}

#[test]
fn values_of_another_kind() {
    refused(&[
        (json!({"api": {"config": {"LIST_TIMEOUT": "0s"}}}), "'/api/config/LIST_TIMEOUT'"),
        (json!({"api": {"replicas": "three"}}), "'/api/replicas': got string, want null or integer"),
        (json!({"ingress": {"enabled": "yes"}}), "'/ingress/enabled': got string, want boolean"),
        (json!({"database": {"port": 70000}}), "'/database/port': maximum: got 70,000, want 65,535"),
        (json!({"database": {"host": "mysql://db"}}), "'/database/host'"),
        (json!({"database": {"host": "db:3306"}}), "'/database/host': 'db:3306' does not match"),
        (json!({"redis": {"host": "10.0.0.1:6379"}}), "'/redis/host': '10.0.0.1:6379' does not match"),
        (json!({"listen": "0.0.0.0:5000"}), "'/listen': '0.0.0.0:5000' does not match"),
        (json!({"database": {"tls": {"mode": "verify"}}}), "'/database/tls/mode': value must be one of"),
        (json!({"database": {"tls": {"ca": "x"}}}), "'/database/tls': additional properties 'ca'"),
        (json!({"redis": {"tls": true}}), "'/redis/tls': got boolean, want object"),
        (json!({"redis": {"tls": {"existingSecret": "A b"}}}), "'/redis/tls/existingSecret'"),
        (json!({"migrate": {"database": {"password": "p"}}}), "'/migrate/database': additional properties"),
        (
            json!({"seed": {"envFrom": [{"secret": "x"}]}}),
            "'/seed/envFrom/0': additional properties 'secret'",
        ),
        (
            json!({"api": {"extraVolumes": [{"emptyDir": {}}]}}),
            "'/api/extraVolumes/0': missing property 'name'",
        ),
        (
            json!({"api": {"extraVolumeMounts": [{"name": "a"}]}}),
            "'/api/extraVolumeMounts/0': missing property",
        ),
        (json!({"image": {"pullPolicy": "Sometimes"}}), "'/image/pullPolicy': value must be one of"),
        (json!({"api": {"config": {"CACHE_TTL": "60"}}}), "'/api/config/CACHE_TTL'"),
        (json!({"api": {"config": {"CACHE_TTL": 60}}}), "'/api/config/CACHE_TTL': got number, want string"),
        (json!({"api": {"config": {"RATE_LIMIT": "100"}}}), "'/api/config/RATE_LIMIT'"),
        (json!({"api": {"config": {"RATE_LIMIT": "0/60"}}}), "'/api/config/RATE_LIMIT'"),
        (json!({"api": {"config": {"SEARCH_MEMORY": "256"}}}), "'/api/config/SEARCH_MEMORY'"),
        (json!({"api": {"search": {"url": "https://user:password@host:9200"}}}), "'/api/search/url'"),
        (json!({"api": {"search": {"synonyms": ["okra"]}}}), "'/api/search/synonyms/0'"),
        (json!({"api": {"search": {"synonyms": ["okra, \nbhindi"]}}}), "'/api/search/synonyms/0'"),
        (json!({"partners": {"webhook": {"secrets": ["whsec_AAAA"]}}}), "'/partners/webhook/secrets/0'"),
        (
            json!({"api": {"podDisruptionBudget": {"maxUnavailable": 0}}}),
            "'/api/podDisruptionBudget/maxUnavailable'",
        ),
        (json!({"traces": {"endpoint": "collector:4318"}}), "'/traces/endpoint'"),
        (json!({"partners": {"oauth": {"clientAuth": "header"}}}), "'/partners/oauth/clientAuth'"),
        (json!({"traces": {"ratio": 1.5}}), "'/traces/ratio': maximum"),
        (json!({"auth": {"issuer": "id.example"}}), "'/auth/issuer'"),
        (json!({"auth": {"issuer": "https://id.example/?a=b"}}), "'/auth/issuer'"),
        (json!({"auth": {"jwksUrl": "http://id.example/jwks"}}), "'/auth/jwksUrl'"),
        (json!({"auth": {"tokenUrl": "https://user:p@id.example/"}}), "'/auth/tokenUrl'"),
        (json!({"auth": {"scope": "a b"}}), "'/auth/scope'"),
        (json!({"auth": {"leeway": "30"}}), "'/auth/leeway'"),
        (json!({"auth": {"secret": "s"}}), "'/auth': additional properties 'secret'"),
        (json!({"api": {"config": {"RATE_LIMIT_WRITE": "0/60"}}}), "'/api/config/RATE_LIMIT_WRITE'"),
        (json!({"partners": {"webhook": {"secrets": ["secret"]}}}), "'/partners/webhook/secrets/0'"),
        (json!({"partners": {"apiA": {"url": "https://user:p@host/"}}}), "'/partners/apiA/url'"),
        (json!({"ingress": {"trustedProxies": ["ingress"]}}), "'/ingress/trustedProxies/0'"),
        (json!({"ingress": {"trustedProxies": ["10.0.0.0/40"]}}), "'/ingress/trustedProxies/0'"),
        (json!({"ingress": {"trustedProxies": ["fd00::/129"]}}), "'/ingress/trustedProxies/0'"),
        (
            json!({"api": {"config": {"TRUSTED_PROXIES": "10.0.0.0/8,ingress"}}}),
            "'/api/config/TRUSTED_PROXIES'",
        ),
        (json!({"api": {"config": {"LOG_LEVEL": "verbose"}}}), "'/api/config/LOG_LEVEL': 'verbose' does not"),
        (json!({"api": {"config": {"LOG_LEVEL": "info,farmlokal_api"}}}), "'/api/config/LOG_LEVEL'"),
        (
            json!({"commonLabels": {"a team": "x"}}),
            "'/commonLabels': additional properties 'a team' not allowed",
        ),
        (json!({"pods": {"labels": {"team": "a b"}}}), "'/pods/labels/team': 'a b' does not match"),
        (
            json!({"seed": {"pods": {"nodeSelector": {"-disk": "ssd"}}}}),
            "'/seed/pods/nodeSelector': additional properties",
        ),
        (
            json!({"api": {"annotations": {"a/b/c": "x"}}}),
            "'/api/annotations': additional properties 'a/b/c'",
        ),
        (json!({"seed": {"rows": 0}}), "'/seed/rows': minimum"),
        (json!({"api": {"image": {"digest": "sha256:12"}}}), "'/api/image/digest'"),
        (json!({"api": {"service": {"type": "ExternalName"}}}), "'/api/service/type': value must be one of"),
        (json!({"ingress": {"hosts": ["a", "a"]}}), "'/ingress/hosts': items at 0 and 1 are equal"),
        (json!({"global": {"imagePullSecrets": [1]}}), "'/global/imagePullSecrets/0'"),
        (json!({"catalog": {"suspend": "yes"}}), "'/catalog/suspend': got string, want boolean"),
        (json!({"imagePullSecrets": ["registry"]}), "'/imagePullSecrets/0': got string, want object"),
        (json!({"networkPolicy": {"ingressFrom": [{"namespace": "x"}]}}), "'/networkPolicy/ingressFrom/0'"),
    ]);
}

#[test]
fn values_that_contradict_each_other() {
    let oauth = json!({"tokenUrl": "https://id.example/token", "clientId": "shop"});
    refused(&[
        (
            json!({"api": {"terminationGracePeriodSeconds": 10, "shutdownDelaySeconds": 5}}),
            "api.terminationGracePeriodSeconds is 10: it must be at least 6 s above api.shutdownDelaySeconds, which is 5",
        ),
        (
            json!({"api": {"config": {"LOCAL_CACHE_MIB": 385}}}),
            "api.config: LOCAL_CACHE_MIB and SEARCH_MEMORY are 385 and 256 MiB: api.resources.limits.memory must be at least \
             128 MiB above their sum, and is 768Mi",
        ),
        (
            json!({"api": {"config": {"SEARCH_MEMORY": "2GiB"}, "resources": {"limits": {"memory": "2Gi"}}}}),
            "api.config: LOCAL_CACHE_MIB and SEARCH_MEMORY are 64 and 2048 MiB: api.resources.limits.memory must be at least \
             128 MiB above their sum, and is 2Gi",
        ),
        (
            json!({"api": {"resources": {"limits": {"memory": "440M"}}}}),
            "api.config: LOCAL_CACHE_MIB and SEARCH_MEMORY are 64 and 256 MiB: api.resources.limits.memory must be at least \
             128 MiB above their sum, and is 440M",
        ),
        (
            json!({"api": {"config": {"SEARCH_MEMORY": "640000KiB"}, "resources": {"limits": {"memory": 805_306_368}}}}),
            "api.config: LOCAL_CACHE_MIB and SEARCH_MEMORY are 64 and 625 MiB",
        ),
        (json!({"enabled": false}), "enabled: false is for a parent chart"),
        (
            json!({"pods": {"labels": {"app.kubernetes.io/name": "shop"}}}),
            "pods.labels (or those of a component).app.kubernetes.io/name: selectors use this label",
        ),
        (
            json!({"commonLabels": {"app.kubernetes.io/component": "shop"}}),
            "commonLabels.app.kubernetes.io/component: selectors use this label",
        ),
        (json!({"gateway": {"enabled": true}}), "gateway.enabled needs gateway.parentRefs"),
        (
            json!({"ingress": {"enabled": true}, "api": {"config": {"TRUSTED_HOPS": 0}}}),
            "api.config.TRUSTED_HOPS: with ingress.enabled or gateway.enabled set ingress.trustedHops instead",
        ),
        (
            json!({"ingress": {"enabled": true}, "api": {"config": {"TRUSTED_PROXIES": "10.0.0.0/8"}}}),
            "api.config.TRUSTED_PROXIES: with ingress.enabled or gateway.enabled set ingress.trustedProxies instead",
        ),
        (
            json!({"api": {"autoscaling": {"enabled": true, "minReplicas": 9, "maxReplicas": 3}}}),
            "api.autoscaling: minReplicas (9) is above maxReplicas (3)",
        ),
        (
            json!({"ingress": {"enabled": true, "tls": {"enabled": true}}}),
            "ingress.tls.enabled needs ingress.hosts",
        ),
        (
            json!({"sandbox": {"enabled": true}, "partners": {"apiA": {"url": "https://a.example"}}}),
            "sandbox.enabled: the sandbox stands in for the partners, and partners.* are set too",
        ),
        (
            json!({"partners": {"apiA": {"url": "https://a.example"}}}),
            "partners.apiA.url is set and partners.oauth.tokenUrl is not",
        ),
        (json!({"partners": {"oauth": oauth}}), "partners.oauth.tokenUrl needs a client secret"),
        (
            json!({"partners": {"oauth": {"tokenUrl": "https://id.example"}}}),
            "partners.oauth.tokenUrl needs partners.oauth.clientId",
        ),
        (
            json!({"partners": {"apiB": {"url": "https://b.example"}}}),
            "partners.apiB.url and partners.webhook.callbackUrl go together",
        ),
    ]);
}

#[test]
fn servers_whose_values_contradict_each_other() {
    refused(&[(
        json!({"database": {"replica": {"urlKey": "url"}}}),
        "database.replica.urlKey needs database.existingSecret",
    )]);
    for server in ["database", "redis"] {
        let both = |part: &str| part.replace("SERVER", server);
        refused(&[
            (json!({server: {"urlKey": "url"}}), &both("SERVER.urlKey needs SERVER.existingSecret")),
            (json!({server: {"passwordKey": "p"}}), &both("SERVER.passwordKey needs SERVER.existingSecret")),
            (
                json!({server: {"tls": {"caKey": "own.crt"}}}),
                &both("SERVER.tls.caKey needs SERVER.tls.existingSecret"),
            ),
            (
                json!({server: {"tls": {"existingSecret": "a", "certKey": "tls.crt"}}}),
                &both("SERVER.tls.certKey and SERVER.tls.keyKey go together"),
            ),
            (
                json!({server: {"tls": {"certKey": "tls.crt", "keyKey": "tls.key"}}}),
                &both("SERVER.tls.certKey needs SERVER.tls.existingSecret"),
            ),
        ]);
    }
    refused(&[
        (
            json!({"database": {"tls": {"mode": "REQUIRED", "existingSecret": "a"}}}),
            "database.tls.mode is REQUIRED, but a CA of one's own is checked by VERIFY_IDENTITY only",
        ),
        (
            json!({"database": {"tls": {"mode": "VERIFY_CA", "existingSecret": "a"}}}),
            "database.tls.mode is VERIFY_CA, but a CA of one's own",
        ),
        (
            json!({"database": {"tls": {"mode": "DISABLED", "existingSecret": "a", "caKey": "", "certKey": "c", "keyKey": "k"}}}),
            "database.tls.mode is DISABLED, and database.tls.existingSecret is set",
        ),
        // An empty section of a file is null.
        (json!({"database": null}), "database"),
        (json!({"database": {"host": null}}), "host"),
        (json!({"controller": {"lease": null}}), "lease"),
        (
            json!({"database": {"tls": {"existingSecret": "a", "caKey": ""}}}),
            "database.tls.existingSecret needs database.tls.caKey or database.tls.certKey",
        ),
        (
            json!({"database": {"existingSecret": "a", "urlKey": "url"}, "migrate": {"database": {"existingSecret": "b"}}}),
            "migrate.database.existingSecret needs migrate.database.urlKey",
        ),
        (
            json!({"redis": {"tls": {"existingSecret": "a"}}}),
            "redis.tls.existingSecret needs redis.tls.enabled",
        ),
        (json!({"redis": {"username": "a"}}), "redis.username needs a password"),
        (json!({"auth": {"issuer": "https://id.example/"}}), "auth.issuer needs auth.audience"),
        (json!({"auth": {"audience": "shop"}}), "auth.audience needs auth.issuer"),
        (json!({"auth": {"tokenUrl": "https://id.example/token"}}), "auth.tokenUrl needs auth.issuer"),
        (
            json!({"migrate": {"database": {"urlKey": "url"}}}),
            "migrate.database.urlKey needs migrate.database.existingSecret",
        ),
        (
            json!({"partners": {"clientSecretKey": "secret"}}),
            "partners.clientSecretKey needs partners.existingSecret",
        ),
        (
            json!({"partners": {"webhookSecretsKey": "keys"}}),
            "partners.webhookSecretsKey needs partners.existingSecret",
        ),
        (
            json!({"migrate": {"database": {"user": "a"}}}),
            "migrate.database.user needs migrate.database.existingSecret",
        ),
    ]);
}

#[test]
fn a_cache_and_an_index_that_their_limit_has_room_for_are_taken() {
    for api in [
        json!({"config": {"LOCAL_CACHE_MIB": 384}}),
        json!({"config": {"SEARCH_MEMORY": "576 MiB"}}),
        json!({"config": {"LOCAL_CACHE_MIB": 1000, "LOCAL_CACHE": false}}),
        json!({"config": {"LOCAL_CACHE_MIB": 1000}, "resources": {"limits": {"memory": "2Gi"}}}),
        json!({"config": {"LOCAL_CACHE_MIB": 1000}, "resources": {"limits": {"memory": null}}}),
        json!({"config": {"LOCAL_CACHE_MIB": 1000}, "resources": {"limits": null}}),
        json!({"resources": {"limits": {"memory": "470M"}}}),
        json!({"config": {"SEARCH_MEMORY": "1GiB"}, "resources": {"limits": {"memory": "1.25Gi"}}}),
    ] {
        render(&json!({"api": api}));
    }
}

#[test]
fn hosts_networks_levels_and_labels_as_they_are_written_elsewhere_are_taken() {
    for values in [
        json!({"database": {"host": "db.shop.svc.cluster.local"}, "redis": {"host": "10.0.0.1"}}),
        json!({"database": {"host": "fd00::1"}, "redis": {"host": "::ffff:10.0.0.1"}, "listen": "::"}),
        json!({"ingress": {"trustedProxies": ["10.0.0.0/8", "192.0.2.1", "fd00::/8", "::1"]}}),
        json!({"api": {"config": {"TRUSTED_PROXIES": "127.0.0.0/8, ::1", "LOG_LEVEL": "INFO"}}}),
        json!({"api": {"config": {"LOG_LEVEL": "warn,farmlokal_api::webhook=debug"}}}),
        json!({"commonLabels": {"example.com/cost-centre": "12_b", "team": ""}}),
        json!({"api": {"annotations": {"Example.com/Note": "any: text, at all"}}}),
        json!({"partners": {"webhookSecretsKey": ""}, "database": {"tls": {"caKey": ""}}}),
    ] {
        render(&values);
    }
}
