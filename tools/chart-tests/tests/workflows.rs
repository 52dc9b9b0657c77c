//! The workflows for GitHub: actionlint takes them, what they name exists, and what they run is pinned.

#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use farmlokal_chart_tests::{Tool, repository, yaml};
use serde_json::Value;

fn workflows() -> Vec<(PathBuf, Value)> {
    let entries = fs::read_dir(repository(".github/workflows")).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: PathBuf| {
        let workflow = yaml::document(&fs::read_to_string(&path).unwrap()).unwrap();
        (path, workflow)
    };
    let workflows: Vec<_> = entries.map(read).collect();
    assert!(workflows.len() >= 3, "{workflows:?}");
    workflows
}

/// Every step of every job, with what to call it.
fn steps(workflows: &[(PathBuf, Value)]) -> Vec<(String, &Value)> {
    let mut steps = Vec::new();
    for (path, workflow) in workflows {
        for (job, definition) in workflow["jobs"].as_object().unwrap() {
            let name = format!("{}: {job}", path.file_name().unwrap().to_string_lossy());
            steps.extend(definition["steps"].as_array().unwrap().iter().map(|step| (name.clone(), step)));
        }
    }
    steps
}

#[test]
fn actionlint_takes_them() {
    let Some(mut actionlint) = Tool::Actionlint.command() else { return };
    let files = workflows().into_iter().map(|(path, _)| path);
    let output = actionlint.arg("-no-color").args(files).current_dir(repository(".")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn actions_are_pinned_to_a_commit_and_say_which_version_that_is() {
    let mut seen = BTreeSet::new();
    for (path, _) in workflows() {
        for line in fs::read_to_string(&path).unwrap().lines() {
            let Some((_, used)) = line.split_once("uses: ") else { continue };
            let (action, version) = used.split_once(" # v").unwrap_or_else(|| panic!("{used}: no version"));
            let (_, commit) = action.split_once('@').unwrap();
            let pinned = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
            assert!(pinned && version.starts_with(|first: char| first.is_ascii_digit()), "{used}");
            seen.insert(action.to_owned());
        }
    }
    let names: BTreeSet<_> = seen.iter().map(|action| action.split('@').next()).collect();
    assert_eq!(names.len(), seen.len(), "one action in two versions: {seen:?}");
}

#[test]
fn they_may_do_no_more_than_they_need() {
    for (path, workflow) in workflows() {
        let name = path.display();
        assert_eq!(workflow["permissions"], serde_json::json!({"contents": "read"}), "{name}");
        assert!(workflow["concurrency"]["group"].is_string(), "{name} has no concurrency group");
        assert!(
            workflow["on"]["pull_request_target"].is_null(),
            "{name} runs other people's code with rights"
        );
        for (job, definition) in workflow["jobs"].as_object().unwrap() {
            assert!(definition["timeout-minutes"].is_number(), "{name}: {job} has no timeout");
        }
    }
    let workflows = workflows();
    for (name, step) in steps(&workflows) {
        if step["uses"].as_str().is_some_and(|action| action.starts_with("actions/checkout@")) {
            assert_eq!(step["with"]["persist-credentials"], false, "{name} keeps its token on the disk");
        }
    }
}

#[test]
fn what_they_run_exists() {
    let workflows = workflows();
    let makefile = fs::read_to_string(repository("Makefile")).unwrap();
    let mut checked = 0;
    for (name, step) in steps(&workflows) {
        let words: Vec<&str> = step["run"].as_str().unwrap_or_default().split_whitespace().collect();
        for (at, word) in words.iter().enumerate() {
            let next = words.get(at + 1).copied().unwrap_or_default();
            match *word {
                "make" => assert!(makefile.contains(&format!("\n{next}: ")), "{name}: no make {next}"),
                "-p" | "--package" | "--exclude" => {
                    let package = next.trim_end_matches('"');
                    let manifest = fs::read_to_string(repository("Cargo.lock")).unwrap();
                    assert!(
                        manifest.contains(&format!("name = \"{package}\"\n")),
                        "{name}: no package {package}"
                    );
                }
                "--config" | "-k" => assert!(repository(next).exists(), "{name}: {next} does not exist"),
                path if path.starts_with("charts/") || path.starts_with("k8s/") => {
                    assert!(repository(path).exists(), "{name}: {path} does not exist");
                }
                _ => continue,
            }
            checked += 1;
        }
    }
    assert!(checked >= 8, "only {checked} names were found to check");
}

#[test]
fn they_build_with_the_compiler_and_into_the_images_of_the_repository() {
    let manifest = fs::read_to_string(repository("Cargo.toml")).unwrap();
    let wanted =
        manifest.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap().trim_matches('"');
    let dockerfile = fs::read_to_string(repository("Dockerfile")).unwrap();
    let workflows = workflows();
    let environment =
        |key: &str| workflows.iter().filter_map(|(_, workflow)| workflow["env"][key].as_str()).collect();
    let compilers: Vec<&str> = environment("RUST");
    assert!(!compilers.is_empty() && compilers.iter().all(|rust| rust.starts_with(&format!("{wanted}."))));
    let images: Vec<&str> = environment("IMAGES");
    let targets: BTreeSet<&str> = images.iter().flat_map(|names| names.split_whitespace()).collect();
    let file = parse_dockerfile::parse(&dockerfile).unwrap();
    let stages = file.stages().filter_map(|stage| Some(stage.from.as_.as_ref()?.1.value.to_string()));
    let ours: BTreeSet<String> = stages.filter(|stage| stage != "build" && stage != "base").collect();
    assert_eq!(targets, ours.iter().map(String::as_str).collect());
    assert_eq!(targets, tagged(&workflows).collect());
}

/// The jobs of a workflow.
fn jobs<'a>(workflows: &'a [(PathBuf, Value)], name: &str) -> &'a Value {
    let (_, workflow) = workflows.iter().find(|(path, _)| path.ends_with(name)).unwrap();
    &workflow["jobs"]
}

/// The images that get their name and signature.
fn tagged(workflows: &[(PathBuf, Value)]) -> impl Iterator<Item = &str> {
    let images = &jobs(workflows, "publish.yml")["images"]["strategy"]["matrix"]["image"];
    images.as_array().unwrap().iter().map(|image| image.as_str().unwrap())
}

/// By the workflow's own identity, and under the digest: a tag could be another's by then.
#[test]
fn images_and_chart_are_signed_and_their_origin_is_attested() {
    let workflows = workflows();
    let jobs = jobs(&workflows, "publish.yml");
    for (name, what) in [("images", "$IMAGE@$DIGEST"), ("chart", "$CHARTS/farmlokal@$DIGEST")] {
        let job = &jobs[name];
        let steps = job["steps"].as_array().unwrap();
        let signed = |step: &Value| {
            let run = step["run"].as_str().unwrap_or_default();
            run.lines()
                .any(|line| line.contains("cosign\" sign --yes") && line.contains(&format!("\"{what}\"")))
        };
        assert!(steps.iter().any(signed), "{name} is not signed");
        let used = |step: &&Value| {
            step["uses"].as_str().is_some_and(|action| action.starts_with("actions/attest-build-provenance@"))
        };
        let attested = steps.iter().find(used).unwrap_or_else(|| panic!("{name} is not attested"));
        assert_eq!(attested["with"]["push-to-registry"], true, "{name}");
        for right in ["id-token", "attestations", "packages"] {
            assert_eq!(job["permissions"][right], "write", "{name}: {right}");
        }
    }
    // Nobody else can sign in our name.
    for (path, workflow) in &workflows {
        for (name, job) in workflow["jobs"].as_object().unwrap() {
            let signs = job["permissions"]["id-token"] == "write";
            assert_eq!(signs, path.ends_with("publish.yml") && name != "build", "{}: {name}", path.display());
        }
    }
}

/// What Artifact Hub shows of the chart: its images are those that are published with it, at its version.
#[test]
fn the_chart_s_page_names_what_is_published() {
    let chart =
        yaml::document(&fs::read_to_string(repository("charts/farmlokal/Chart.yaml")).unwrap()).unwrap();
    let annotation = |name: &str| {
        yaml::document(chart["annotations"][format!("artifacthub.io/{name}")].as_str().unwrap()).unwrap()
    };
    let images: BTreeSet<String> = annotation("images")
        .as_array()
        .unwrap()
        .iter()
        .map(|image| image["image"].as_str().unwrap().to_owned())
        .collect();
    let workflows = workflows();
    let version = env!("CARGO_PKG_VERSION");
    let name = |image: &str| format!("ghcr.io/farmlokal/farmlokal-{image}:{version}");
    assert_eq!(images, tagged(&workflows).map(name).collect());
    let crd = &annotation("crds")[0];
    assert_eq!(
        (&crd["kind"], &crd["name"]),
        (&"ProductCatalog".into(), &"productcatalogs.farmlokal.dev".into())
    );
    let icon = chart["icon"].as_str().unwrap();
    let path = icon.strip_prefix("https://raw.githubusercontent.com/farmlokal/farmlokal/main/").unwrap();
    assert!(repository(path).is_file(), "{icon}");
    let log = fs::read_to_string(repository("CHANGELOG.md")).unwrap();
    let (_, log) =
        log.split_once(&format!("\n## {version}\n")).expect("CHANGELOG.md says nothing of this version");
    let log = log.split("\n## ").next().unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    for change in annotation("changes").as_array().unwrap() {
        let kinds = ["added", "changed", "deprecated", "removed", "fixed", "security"];
        assert!(kinds.iter().any(|kind| change["kind"] == *kind), "{change}");
        assert!(log.contains(change["description"].as_str().unwrap()), "CHANGELOG.md does not say: {change}");
    }
}

/// Helm 3 and Helm 4, on the oldest and the newest Kubernetes.
#[test]
fn the_chart_is_tried_with_both_helms() {
    let workflows = workflows();
    let include = &jobs(&workflows, "e2e.yml")["kind"]["strategy"]["matrix"]["include"];
    let include = include.as_array().unwrap();
    for helm in ["v3", "v4"] {
        let own = include.iter().find(|each| each["helm"].as_str().unwrap().starts_with(helm));
        assert_eq!(own.unwrap()["module"], format!("helm.sh/helm/{helm}/cmd/helm"));
    }
    // What the page says of it.
    let page = fs::read_to_string(repository("docs/kubernetes.md")).unwrap();
    let minors: Vec<&str> = include
        .iter()
        .map(|each| each["kubernetes"].as_str().unwrap().trim_start_matches('v').rsplit_once('.').unwrap().0)
        .collect();
    let said = format!("tests run on {}", minors.join(" and "));
    assert!(page.split_whitespace().collect::<Vec<_>>().join(" ").contains(&said), "docs: {said}");
    let digests = include.iter().map(|each| each["digest"].as_str().unwrap());
    assert!(digests.clone().all(|digest| digest.starts_with("sha256:") && digest.len() == 71));
    assert_eq!(digests.collect::<BTreeSet<_>>().len(), include.len());
}
