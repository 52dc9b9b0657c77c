//! Without helm's help the release is the same: what `helm template` prints, applied by kubectl twice over and then in
//! another version, ends as `helm upgrade --install` does, and is flushed, seeded and upgraded. Both have the longest name
//! that a release may have, namespaces of their own, and a database and Redis keys beside those of the other steps.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::command::output;
use crate::kubectl::{self, NAMESPACE, items, repository};
use crate::report::say;
use crate::suite::Suite;
use crate::{PATIENCE, wait};

/// Where kubectl applies, and where helm installs.
const APPLIED: &str = "farmlokal-e2e-apply";
const INSTALLED: &str = "farmlokal-e2e-helm";
/// 53 characters.
const RELEASE: &str = "the-longest-name-of-a-release-that-helm-allows-at-all";
/// What differs in the next version: pods and the migration's Job.
const NEXT: &str = "api.config.HTTP_MAX_AGE=7s,migrate.backoffLimit=5";
/// Hooks to helm, which deletes them, but for the seeding's, whose labels have its uid.
const JOB: &str = "Job";
/// Together with what needs definitions that the cluster may not have, these make an object of every kind of the chart's.
const VALUES: &str = "ingress.hosts={apply.test},networkPolicy.enabled=true,controller.replicas=1,seed.whenEmpty=true,\
                      seed.rows=1000,api.autoscaling.enabled=true,api.autoscaling.minReplicas=1,\
                      api.autoscaling.maxReplicas=1";
const VALUES_OF_GROUPS: [(&str, &str); 2] = [
    ("monitoring.coreos.com/v1", "serviceMonitor.enabled=true,prometheusRule.enabled=true"),
    ("gateway.networking.k8s.io/v1", "gateway.enabled=true,gateway.parentRefs[0].name=nobody"),
];

pub(super) async fn run(_: &Suite<'_>) -> Result<()> {
    clear().await?;
    for namespace in [APPLIED, INSTALLED] {
        kubectl::run(&["create", "namespace", namespace]).await?;
        let redis = format!("--from-literal=url=redis://e2e-redis.{NAMESPACE}:6379/1");
        let secret = ["create", "secret", "generic", "e2e", &redis, "--from-literal=password=not-a-secret"];
        run_in(namespace, &secret).await?;
    }
    let kinds = kinds(&rendered(&[]).await?);
    tokio::try_join!(by_kubectl(&kinds), by_helm())?;
    let (applied, installed) = (specs(APPLIED, &kinds).await?, specs(INSTALLED, &kinds).await?);
    let names = |specs: &BTreeMap<String, Value>| specs.keys().cloned().collect::<BTreeSet<_>>();
    ensure!(names(&applied) == names(&installed), "{:?} applied, {:?} installed", names(&applied), names(&installed));
    for (name, spec) in &applied {
        ensure!(*spec == installed[name], "{name} applied: {spec}\ninstalled: {}", installed[name]);
    }
    let compared: BTreeSet<_> = applied.keys().filter_map(|name| name.split('/').next()).collect();
    let expected: BTreeSet<_> = kinds.iter().map(String::as_str).filter(|kind| *kind != JOB).collect();
    ensure!(compared == expected, "{compared:?} compared, of {expected:?}");
    say!("{} objects of {} kinds are as helm's", applied.len(), compared.len());
    clear().await
}

/// Removes both.
///
/// # Errors
/// They do not go.
pub(crate) async fn clear() -> Result<()> {
    let uninstall = ["uninstall", RELEASE, "--namespace", INSTALLED, "--ignore-not-found", "--no-hooks", "--wait"];
    kubectl::helm(&uninstall).await?;
    let selector = format!("--selector=app.kubernetes.io/instance={RELEASE}");
    kubectl::run(&["delete", "clusterroles,clusterrolebindings", &selector]).await?;
    kubectl::run(&["delete", "namespace", APPLIED, INSTALLED, "--ignore-not-found", "--timeout=120s"]).await?;
    Ok(())
}

async fn by_helm() -> Result<()> {
    for next in [&[][..], &["--set", NEXT]] {
        // Not until all is ready: what is compared is there at once.
        let install = ["upgrade", "--install", RELEASE, "--timeout=3m"];
        let chart = chart(INSTALLED).await?;
        let chart: Vec<&str> = chart.iter().map(String::as_str).collect();
        kubectl::helm(&[&install[..], &chart, next].concat()).await?;
    }
    Ok(())
}

async fn by_kubectl(kinds: &BTreeSet<String>) -> Result<()> {
    let first = rendered(&[]).await?;
    apply(&first).await?;
    until_done().await?;
    let before = versions(kinds).await?;
    apply(&first).await?;
    ensure!(versions(kinds).await? == before, "a second apply of the same changes something");
    say!("applied by kubectl: migrated, seeded, tested and ready; a second apply changes nothing");

    let catalog = name_of("productcatalogs").await?;
    kubectl::run(&["annotate", "--namespace", APPLIED, &catalog, "farmlokal.dev/flush-requested-at=e2e"]).await?;
    until_flushed(&catalog, |catalog| catalog["status"]["lastHandledRequest"] == "e2e").await?;
    let from = format!("--from={}", name_of("cronjobs").await?);
    run_in(APPLIED, &["create", "job", "e2e-seed", &from]).await?;
    run_in(APPLIED, &["wait", "--for=condition=Complete", "job/e2e-seed", "--timeout=120s"]).await?;
    say!("flushed and seeded by the lines of docs/kubernetes.md");

    let flushed = last_flush(&catalog).await?;
    apply(&rendered(&["--set", NEXT]).await?).await?;
    until_done().await?;
    until_flushed(&catalog, |catalog| catalog["status"]["lastFlushTime"] != flushed).await?;
    let migrations = run_in(APPLIED, &["get", "jobs", "--selector=app.kubernetes.io/component=migrate", "--output=name"]);
    let migrations = migrations.await?;
    ensure!(migrations.lines().count() == 2, "each version has its migration: {migrations}");
    say!("the next version applied: migrated again, flushed");
    Ok(())
}

/// Arguments of helm that are the same for both.
async fn chart(namespace: &str) -> Result<Vec<String>> {
    let path = |path: &str| repository().join(path).display().to_string();
    let mut values = format!(
        "{VALUES},database.host=e2e-database.{NAMESPACE},database.name=farmlokal_apply,database.existingSecret=e2e,\
         redis.existingSecret=e2e,redis.urlKey=url"
    );
    let known = kubectl::run(&["api-versions"]).await?;
    for (_, more) in VALUES_OF_GROUPS.iter().filter(|(group, _)| known.lines().any(|line| line == *group)) {
        values = format!("{values},{more}");
    }
    let words = [&path("charts/farmlokal"), "--namespace", namespace, "--values", &path("tools/e2e/values.yaml"), "--set", &values];
    Ok(words.map(str::to_owned).into())
}

/// The kinds in a manifest.
fn kinds(manifest: &str) -> BTreeSet<String> {
    manifest.lines().filter_map(|line| line.strip_prefix("kind: ")).map(str::to_owned).collect()
}

async fn rendered(next: &[&str]) -> Result<String> {
    // A helm that somebody has built may not know what Kubernetes it is for.
    let versions = kubectl::json(&["version"]).await?;
    let version = versions["serverVersion"]["gitVersion"].as_str().context("the server has no version")?;
    let chart = chart(APPLIED).await?;
    let chart: Vec<&str> = chart.iter().map(String::as_str).collect();
    kubectl::helm(&[&["template", RELEASE, "--kube-version", version], &chart[..], next].concat()).await
}

async fn apply(manifest: &str) -> Result<()> {
    output(kubectl::command(&["apply", "--server-side", "--namespace", APPLIED, "--filename=-"]), manifest).await?;
    Ok(())
}

async fn run_in(namespace: &str, arguments: &[&str]) -> Result<String> {
    kubectl::run(&[arguments, &["--namespace", namespace]].concat()).await
}

/// Until every Deployment is ready and every Job complete: the migration, the seeding, the test.
async fn until_done() -> Result<()> {
    for deployment in ["api", "controller"] {
        let selector = format!("--selector=app.kubernetes.io/component={deployment}");
        run_in(APPLIED, &["rollout", "status", "deployment", &selector, "--timeout=180s"]).await?;
    }
    run_in(APPLIED, &["wait", "--for=condition=Complete", "jobs", "--all", "--timeout=180s"]).await?;
    Ok(())
}

async fn until_flushed(catalog: &str, is_the_one: impl Fn(&Value) -> bool) -> Result<()> {
    wait::until("the applied catalogue flushed", PATIENCE, async || {
        let catalog = kubectl::json(&["get", catalog, "--namespace", APPLIED]).await?;
        Ok((is_the_one(&catalog) && kubectl::condition(&catalog, "Flushed")).then_some(()))
    })
    .await
}

async fn last_flush(catalog: &str) -> Result<Value> {
    Ok(kubectl::json(&["get", catalog, "--namespace", APPLIED]).await?["status"]["lastFlushTime"].clone())
}

/// `kind/name` of the only object of a kind.
async fn name_of(kind: &str) -> Result<String> {
    let names = run_in(APPLIED, &["get", kind, "--output=name"]).await?;
    let mut names = names.lines();
    let name = names.next().with_context(|| format!("no {kind}"))?;
    ensure!(names.next().is_none(), "several {kind}");
    Ok(name.to_owned())
}

/// What changes with every change of an applied object, by kind and name: the generation, where there is a status too that
/// changes by itself.
async fn versions(kinds: &BTreeSet<String>) -> Result<BTreeMap<String, Value>> {
    let version = |object: &Value| {
        let metadata = &object["metadata"];
        let version = if object["status"].is_object() { &metadata["generation"] } else { &metadata["resourceVersion"] };
        json!([metadata["uid"], version])
    };
    Ok(objects(APPLIED, kinds).await?.iter().map(|(name, object)| (name.clone(), version(object))).collect())
}

/// What was asked for, by kind and name, without what differs between namespaces.
async fn specs(namespace: &str, kinds: &BTreeSet<String>) -> Result<BTreeMap<String, Value>> {
    let is_kept = |object: &Value| object["kind"] != JOB && object["metadata"]["annotations"]["helm.sh/hook"].is_null();
    let wanted = |(name, mut object): (String, Value)| {
        let labels = object["metadata"]["labels"].take();
        let fields = object.as_object_mut()?;
        fields.retain(|field, _| field != "metadata" && field != "status");
        for assigned in ["clusterIP", "clusterIPs"] {
            fields.get_mut("spec").and_then(Value::as_object_mut).and_then(|spec| spec.remove(assigned));
        }
        let text = json!([labels, fields]).to_string().replace(namespace, "NAMESPACE");
        Some((name.replace(namespace, "NAMESPACE"), text.into()))
    };
    let objects = objects(namespace, kinds).await?.into_iter();
    Ok(objects.filter(|(_, object)| is_kept(object)).filter_map(wanted).collect())
}

/// The release's objects of these kinds, by kind and name. The name of one that is in no namespace ends in it.
async fn objects(namespace: &str, kinds: &BTreeSet<String>) -> Result<BTreeMap<String, Value>> {
    let kinds = kinds.iter().map(String::as_str).collect::<Vec<_>>().join(",").to_lowercase();
    let selector = format!("--selector=app.kubernetes.io/instance={RELEASE}");
    let list = kubectl::json(&["get", &kinds, &selector, "--namespace", namespace]).await?;
    let named = |object: &Value| {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let is_ours = object["metadata"]["namespace"] == namespace || name.ends_with(&format!(":{namespace}"));
        is_ours.then(|| (format!("{}/{name}", object["kind"].as_str().unwrap_or_default()), object.clone()))
    };
    Ok(items(&list).iter().filter_map(named).collect())
}
