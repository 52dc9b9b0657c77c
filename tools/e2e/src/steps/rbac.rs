//! The controller may do what it needs and nothing else, by what the API server itself says (`SelfSubjectRulesReview`); API and
//! seeding may do nothing.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::command;
use crate::kubectl::{NAMESPACE, RELEASE};
use crate::report;
use crate::suite::Suite;

/// What the controller needs: verb, group, resource, and the only object where there is but one. The Secret is the one that
/// values.yaml names.
const NEEDED: [(&str, &str, &str, &str); 8] = [
    ("get", "farmlokal.dev", "productcatalogs", ""),
    ("list", "farmlokal.dev", "productcatalogs", ""),
    ("watch", "farmlokal.dev", "productcatalogs", ""),
    ("patch", "farmlokal.dev", "productcatalogs/status", ""),
    ("get", "", "secrets", "e2e-redis"),
    ("create", "events.k8s.io", "events", ""),
    ("get", "coordination.k8s.io", "leases", "farmlokal-controller"),
    ("update", "coordination.k8s.io", "leases", "farmlokal-controller"),
];

pub(super) async fn run(suite: &Suite<'_>) -> Result<()> {
    // Nobody has bound anything to this one: what it may do, everybody may.
    let everybody = rules(suite, "e2e-nobody", NAMESPACE).await?;
    let account = format!("{RELEASE}-controller");
    let granted: BTreeSet<String> =
        rules(suite, &account, NAMESPACE).await?.difference(&everybody).cloned().collect();
    let needed: BTreeSet<String> =
        NEEDED.iter().map(|(verb, group, resource, name)| rule(verb, group, resource, name)).collect();
    let lacks: Vec<_> = needed.difference(&granted).collect();
    let beyond: Vec<_> = granted.difference(&needed).collect();
    ensure!(
        lacks.is_empty() && beyond.is_empty(),
        "the controller lacks {lacks:?} and may besides {beyond:?}"
    );
    for rule in &granted {
        report::say(format!("the controller may {rule}"));
    }
    let elsewhere = rules(suite, &account, "kube-system").await?;
    let everybody_there = rules(suite, "e2e-nobody", "kube-system").await?;
    ensure!(elsewhere == everybody_there, "the controller may do more in kube-system than anybody");
    for component in ["api", "seed"] {
        let account = suite.kubectl.field(&workload(component), ".spec..serviceAccountName").await?;
        let account = account.split_whitespace().next().unwrap_or("default");
        ensure!(
            rules(suite, account, NAMESPACE).await? == everybody,
            "{component} ({account}) may do something"
        );
    }
    report::say("and nothing else, neither here nor in another namespace; API and seeding may do nothing");
    Ok(())
}

fn workload(component: &str) -> String {
    match component {
        "seed" => format!("cronjob/{RELEASE}-seed"),
        other => format!("deployment/{RELEASE}-{other}"),
    }
}

/// Everything that a `ServiceAccount` of ours may do to objects in `namespace`, one rule for each verb, group, resource, name.
async fn rules(suite: &Suite<'_>, account: &str, namespace: &str) -> Result<BTreeSet<String>> {
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": namespace}});
    let user = format!("--as=system:serviceaccount:{NAMESPACE}:{account}");
    let groups = format!("--as-group=system:serviceaccounts:{NAMESPACE}");
    let others = ["--as-group=system:serviceaccounts", "--as-group=system:authenticated"];
    let arguments =
        ["create", "--filename=-", "--validate=false", "--output=json", &user, &groups, others[0], others[1]];
    let said = command::output(suite.kubectl.command(&arguments), &review.to_string()).await?;
    let review: Value = serde_json::from_str(&said)?;
    ensure!(review["status"]["incomplete"] == false, "the API server cannot list all rules");
    let mut flat = BTreeSet::new();
    for granted in review["status"]["resourceRules"].as_array().context("no rules")? {
        let names = words(&granted["resourceNames"]);
        let names = if names.is_empty() { vec![""] } else { names };
        for verb in words(&granted["verbs"]) {
            for group in words(&granted["apiGroups"]) {
                for resource in words(&granted["resources"]) {
                    flat.extend(names.iter().map(|name| rule(verb, group, resource, name)));
                }
            }
        }
    }
    Ok(flat)
}

fn words(list: &Value) -> Vec<&str> {
    list.as_array().map_or_else(Vec::new, |list| list.iter().filter_map(Value::as_str).collect())
}

fn rule(verb: &str, group: &str, resource: &str, name: &str) -> String {
    let dot = if group.is_empty() { "" } else { "." };
    let only = if name.is_empty() { String::new() } else { format!(" named {name}") };
    format!("{verb} {resource}{dot}{group}{only}")
}
