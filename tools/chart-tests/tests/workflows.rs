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
}
