//! The controller may do what it needs and nothing else, by what the API server itself says (`SelfSubjectRulesReview`); API and
//! seeding may do nothing. A user with the role `edit` in the namespace flushes and seeds.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::command;
use crate::kubectl::{self, NAMESPACE, RELEASE};
use crate::report::say;
use crate::suite::Suite;
use crate::{PATIENCE, wait};

/// What the controller needs.
const NEEDED: [&str; 8] = [
    "get productcatalogs.farmlokal.dev",
    "list productcatalogs.farmlokal.dev",
    "watch productcatalogs.farmlokal.dev",
    "patch productcatalogs/status.farmlokal.dev",
    "create events.events.k8s.io",
    "create leases.coordination.k8s.io",
    "get leases.coordination.k8s.io named farmlokal-controller",
    "update leases.coordination.k8s.io named farmlokal-controller",
];

pub(super) async fn run(_: &Suite<'_>) -> Result<()> {
    // Nobody has bound anything to this one: what it may do, everybody may.
    let everybody = rules("e2e-nobody", NAMESPACE).await?;
    let account = format!("{RELEASE}-controller");
    let granted = &rules(&account, NAMESPACE).await? - &everybody;
    let needed: BTreeSet<String> = NEEDED.map(str::to_owned).into();
    let differences: Vec<_> = needed.symmetric_difference(&granted).collect();
    ensure!(differences.is_empty(), "rights that the controller lacks, or has besides: {differences:?}");
    for rule in &granted {
        say!("the controller may {rule}");
    }
    let elsewhere = rules(&account, "kube-system").await?;
    let everybody_there = rules("e2e-nobody", "kube-system").await?;
    ensure!(elsewhere == everybody_there, "the controller may do more in kube-system than anybody");
    for workload in ["deployment/farmlokal-api", "cronjob/farmlokal-seed"] {
        let account = kubectl::field(workload, ".spec..serviceAccountName").await?;
        let account = account.split_whitespace().next().unwrap_or("default");
        ensure!(rules(account, NAMESPACE).await? == everybody, "{workload} ({account}) may do something");
    }
    say!("and nothing else, neither here nor in another namespace; API and seeding may do nothing");
    an_editor_flushes_and_seeds().await
}

/// By the lines of docs/kubernetes.md, as somebody who has nothing but the role `edit` here.
async fn an_editor_flushes_and_seeds() -> Result<()> {
    let (catalog, editor) = (format!("productcatalog/{RELEASE}"), "--as=e2e-editor");
    let bind = "create rolebinding e2e-editor --clusterrole=edit --user=e2e-editor --dry-run=client --output=json";
    kubectl::apply(&kubectl::run(&bind.split(' ').collect::<Vec<_>>()).await?).await?;
    // The controller manager collects the rights of a role in its own time.
    wait::until("the rights of the role edit", PATIENCE, async || {
        Ok(kubectl::run(&["auth", "can-i", "patch", &catalog, editor]).await.ok())
    })
    .await?;
    let request = format!("by an editor, {}", std::process::id());
    let annotation = format!("farmlokal.dev/flush-requested-at={request}");
    kubectl::run(&["annotate", &catalog, "--overwrite", &annotation, editor]).await?;
    wait::until("the editor's flush", PATIENCE, async || {
        let field = "--output=jsonpath={.status.lastHandledRequest}";
        let seen = kubectl::run(&["get", "pcat", RELEASE, editor, field]).await?;
        Ok((seen == request).then_some(()))
    })
    .await?;
    let (job, from) = ("e2e-seed-editor", format!("--from=cronjob/{RELEASE}-seed"));
    kubectl::run(&["delete", "job", job, "--ignore-not-found", editor]).await?;
    kubectl::run(&["create", "job", job, &from, editor]).await?;
    kubectl::run(&["wait", "--for=condition=Complete", &format!("job/{job}"), "--timeout=180s", editor]).await?;
    say!("a user with the role edit has flushed and seeded");
    for verb in ["get", "patch"] {
        let answer = kubectl::run(&["auth", "can-i", verb, &catalog, "--as=e2e-nobody"]).await;
        ensure!(answer.is_err(), "somebody without a role may {verb} {catalog}");
    }
    Ok(())
}

/// Everything that a `ServiceAccount` of ours may do to objects in `namespace`, one rule for each verb, resource and name.
async fn rules(account: &str, namespace: &str) -> Result<BTreeSet<String>> {
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": namespace}});
    let create = ["create", "--filename=-", "--validate=false", "--output=json"];
    let groups = ["--as-group=system:serviceaccounts", "--as-group=system:authenticated"];
    let user = format!("--as=system:serviceaccount:{NAMESPACE}:{account}");
    let group = format!("--as-group=system:serviceaccounts:{NAMESPACE}");
    let arguments = [&create[..], &groups, &[&user, &group]].concat();
    let said = command::output(kubectl::command(&arguments), &review.to_string()).await?;
    let review: Value = serde_json::from_str(&said)?;
    ensure!(review["status"]["incomplete"] == false, "the API server cannot list all rules");
    let mut flat = BTreeSet::new();
    for granted in review["status"]["resourceRules"].as_array().context("no rules")? {
        let [verbs, groups, resources, names] =
            ["verbs", "apiGroups", "resources", "resourceNames"].map(|key| words(&granted[key]));
        let of_group = |group| resources.iter().map(move |resource| format!("{resource}.{group}"));
        for resource in groups.iter().flat_map(of_group) {
            for verb in &verbs {
                flat.extend(names.iter().map(|name| format!("{verb} {resource} named {name}")));
                flat.extend(names.is_empty().then(|| format!("{verb} {resource}")));
            }
        }
    }
    Ok(flat)
}

fn words(list: &Value) -> Vec<&str> {
    list.as_array().map_or_else(Vec::new, |list| list.iter().filter_map(Value::as_str).collect())
}
