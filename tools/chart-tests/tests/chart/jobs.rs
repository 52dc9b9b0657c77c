//! Migration, seeding, and the test of a release.

use serde_json::{Value, json};

use crate::chart::{env, find_env, render, secret_of};

fn hook(object: &Value) -> (&str, i64, &str) {
    let annotations = &object["metadata"]["annotations"];
    let weight = annotations["helm.sh/hook-weight"].as_str().map_or(0, |weight| weight.parse().unwrap());
    (
        annotations["helm.sh/hook"].as_str().unwrap(),
        weight,
        annotations["helm.sh/hook-delete-policy"].as_str().unwrap(),
    )
}

/// The release's objects are not there yet: what the Job uses has to come along, and before it.
#[test]
fn the_migration_runs_before_all_else_with_what_it_needs() {
    let Some(objects) = render(&json!({"database": {"host": "db", "password": "secret"}})) else { return };
    let (job, secret) = (objects.get("Job", "farmlokal-migrate"), objects.get("Secret", "farmlokal-migrate"));
    let ((when, job_weight, policy), (also, secret_weight, secret_policy)) = (hook(job), hook(secret));
    assert_eq!((when, also), ("pre-install,pre-upgrade", "pre-install,pre-upgrade"));
    assert!(secret_weight < job_weight);
    // Neither is left behind.
    assert_eq!((policy, secret_policy), ("before-hook-creation,hook-succeeded", policy));
    let pod = &job["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    assert_eq!(container["args"], json!(["migrate"]));
    assert_eq!(env(container, "DB_HOST")["value"], "db");
    assert_eq!(secret_of(container, "DB_PASS"), "farmlokal-migrate/DB_PASS");
    assert_eq!(secret["data"], json!({"DB_PASS": "c2VjcmV0"}));
    for absent in ["envFrom", "volumeMounts"] {
        assert!(container.get(absent).is_none(), "{absent} of something that is not there yet");
    }

    let values = json!({"database": {"existingSecret": "db", "passwordKey": "pw"}});
    let objects = render(&values).unwrap();
    let container = &objects.get("Job", "farmlokal-migrate")["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(secret_of(container, "DB_PASS"), "db/pw");
}

/// A database that is still starting must not fail an install.
#[test]
fn the_migration_is_tried_again() {
    let Some(objects) = render(&json!({"migrate": {"backoffLimit": 3}})) else { return };
    let spec = &objects.get("Job", "farmlokal-migrate")["spec"];
    assert_eq!(spec["backoffLimit"], 3);
    assert_eq!(spec["template"]["spec"]["restartPolicy"], "Never");
    let spec = &render(&json!({})).unwrap().get("Job", "farmlokal-migrate")["spec"].clone();
    assert!(spec["backoffLimit"].as_i64().unwrap() >= 5);
    // Helm waits 300 s, unless told otherwise: nothing migrates after that.
    assert!(spec["activeDeadlineSeconds"].as_i64().unwrap() < 300);
}

/// A node that is drained is no fault of the program's.
#[test]
fn an_evicted_pod_is_no_failed_attempt() {
    let Some(objects) = render(&json!({"seed": {"whenEmpty": true}})) else { return };
    let cron = &objects.get("CronJob", "farmlokal-seed")["spec"]["jobTemplate"]["spec"];
    for spec in [
        &objects.get("Job", "farmlokal-migrate")["spec"],
        &objects.get("Job", "farmlokal-seed")["spec"],
        cron,
    ] {
        let rules = json!([{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]);
        assert_eq!(spec["podFailurePolicy"]["rules"], rules);
        assert_eq!(spec["template"]["spec"]["restartPolicy"], "Never");
    }
}

/// Where nobody may talk to anybody, the migration runs before the release's own policies are there.
#[test]
fn the_migration_comes_with_a_policy_of_its_own() {
    let Some(objects) = render(&json!({"networkPolicy": {"enabled": true}})) else { return };
    let (job, policy) =
        (objects.get("Job", "farmlokal-migrate"), objects.get("NetworkPolicy", "farmlokal-migrate"));
    let ((when, job_weight, deleted), (also, weight, also_deleted)) = (hook(job), hook(policy));
    // Helm deletes what succeeded after the last hook of all.
    assert_eq!((when, deleted), (also, also_deleted));
    assert!(weight < job_weight);
}

#[test]
fn seeding_waits_for_somebody_to_start_it() {
    let seed = json!({
        "rows": 2_500_000, "seed": 7, "replace": true, "ttlSecondsAfterFinished": 2_000_000,
        "extraEnv": [{"name": "SEED_BATCH", "value": "5000"}],
    });
    let Some(objects) = render(&json!({"seed": seed})) else { return };
    let spec = &objects.get("CronJob", "farmlokal-seed")["spec"];
    assert_eq!((&spec["suspend"], &spec["concurrencyPolicy"]), (&json!(true), &json!("Forbid")));
    let job = &spec["jobTemplate"]["spec"];
    assert_eq!(job["ttlSecondsAfterFinished"], 2_000_000);
    let container = &job["template"]["spec"]["containers"][0];
    assert_eq!(env(container, "SEED_ROWS")["value"], "2500000");
    assert_eq!(env(container, "SEED")["value"], "7");
    assert_eq!(env(container, "SEED_REPLACE")["value"], "true");
    assert_eq!(env(container, "SEED_BATCH")["value"], "5000");
    assert_eq!(env(container, "MANAGEMENT_PORT")["value"], "9090");
    assert_eq!(container["ports"], json!([{"name": "management", "containerPort": 9090}]));
    assert_eq!(env(container, "REDIS_HOST")["value"], "redis");
    assert!(find_env(container, "OAUTH_CLIENT_SECRET").is_none());
}

/// It runs again with every version, unasked: nothing that is there may be lost by it.
#[test]
fn seeding_by_itself_is_the_same_job_but_for_an_empty_catalogue_only() {
    let seed = json!({"whenEmpty": true, "replace": true, "ttlSecondsAfterFinished": 60});
    let Some(objects) = render(&json!({"seed": seed})) else { return };
    let mut cron = objects.get("CronJob", "farmlokal-seed")["spec"]["jobTemplate"]["spec"].clone();
    let job = objects.get("Job", "farmlokal-seed");
    let container = &job["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(env(container, "SEED_WHEN_EMPTY")["value"], "true");
    assert!(find_env(container, "SEED_REPLACE").is_none());
    let variables = cron.pointer_mut("/template/spec/containers/0/env").unwrap().as_array_mut().unwrap();
    let replace = variables.iter_mut().find(|variable| variable["name"] == "SEED_REPLACE").unwrap();
    *replace = json!({"name": "SEED_WHEN_EMPTY", "value": "true"});
    assert_eq!(job["spec"], cron);
    // No install waits for it, and no upgrade stops it.
    assert_eq!(job["metadata"]["annotations"], json!({"helm.sh/resource-policy": "keep"}));

    let seed = json!({"whenEmpty": true, "ttlSecondsAfterFinished": null});
    let objects = render(&json!({"seed": seed})).unwrap();
    assert!(objects.get("Job", "farmlokal-seed")["spec"].get("ttlSecondsAfterFinished").is_none());
}

#[test]
fn the_test_of_a_release_lists_products_through_the_service() {
    let Some(objects) = render(&json!({})) else { return };
    let job = objects.get("Job", "farmlokal-test");
    assert_eq!(hook(job).0, "test");
    let args = &job["spec"]["template"]["spec"]["containers"][0]["args"];
    assert_eq!(*args, json!(["check", "--url", "http://farmlokal-api/products?limit=5"]));
}
