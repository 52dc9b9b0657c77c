//! The Dockerfile: an image for each binary, by the contract that the chart rests on, from files that are there.

#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use farmlokal_chart_tests::repository;
use parse_dockerfile::{Command as Arguments, Dockerfile, Flag, Instruction, Source};
use serde_json::Value;

fn text() -> String {
    fs::read_to_string(repository("Dockerfile")).unwrap()
}

fn options<'a>(options: &'a [Flag<'_>], name: &'a str) -> impl Iterator<Item = &'a str> {
    options
        .iter()
        .filter(move |flag| flag.name.value == name)
        .filter_map(|flag| Some(&*flag.value.as_ref()?.value))
}

/// What cargo says of the workspace in a folder.
fn metadata(folder: &Path) -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline", "--locked"])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The binaries that run in a cluster: those of services and jobs.
fn binaries() -> Vec<String> {
    let metadata = metadata(&repository("."));
    let root = Path::new(metadata["workspace_root"].as_str().unwrap());
    let mut names = Vec::new();
    for package in metadata["packages"].as_array().unwrap() {
        let manifest = Path::new(package["manifest_path"].as_str().unwrap()).strip_prefix(root).unwrap();
        if !manifest.starts_with("services") && !manifest.starts_with("jobs") {
            continue;
        }
        for target in package["targets"].as_array().unwrap() {
            if target["kind"] == serde_json::json!(["bin"]) {
                names.push(target["name"].as_str().unwrap().to_owned());
            }
        }
    }
    assert!(names.contains(&"farmlokal-api".to_owned()), "{names:?}");
    names
}

/// All instructions of a stage and of those below it, the last first.
fn instructions<'a, 'b>(file: &'b Dockerfile<'a>, stage: &str) -> Vec<&'b Instruction<'a>> {
    let mut found = Vec::new();
    let mut name = stage.to_owned();
    while let Some(stage) = file.stage(&name) {
        found.extend(stage.instructions.iter().rev());
        name = stage.from.image.value.clone().into_owned();
    }
    found
}

#[test]
fn every_binary_has_an_image_by_the_contract() {
    let text = text();
    let file = parse_dockerfile::parse(&text).unwrap();
    for binary in binaries() {
        let target = binary.strip_prefix("farmlokal-").unwrap();
        let instructions = instructions(&file, target);
        let entrypoint = instructions.iter().find_map(|instruction| match instruction {
            Instruction::Entrypoint(entrypoint) => match &entrypoint.arguments {
                Arguments::Exec(words) => words.value.iter().map(|word| word.value.to_string()).next(),
                _ => panic!("{target}: there is no shell for its ENTRYPOINT"),
            },
            _ => None,
        });
        assert_eq!(entrypoint, Some(format!("/{binary}")), "{target}");
        let user = instructions.iter().find_map(|instruction| match instruction {
            Instruction::User(user) => Some(&*user.arguments.value),
            _ => None,
        });
        assert_eq!(user, Some("65532:65532"), "{target}");
        let copied = instructions.iter().any(|instruction| match instruction {
            Instruction::Copy(copy) => {
                copy.dest.value == format!("/{binary}") && options(&copy.options, "from").eq(["build"])
            }
            _ => false,
        });
        assert!(copied, "{target} has no /{binary}");
        let runs = instructions.iter().any(|instruction| matches!(instruction, Instruction::Run(_)));
        assert!(!runs, "{target}: its base has no shell to run anything with");
        let title = format!("org.opencontainers.image.title=\"{binary}\"");
        let titled = instructions.iter().any(|instruction| match instruction {
            Instruction::Label(label) => label.arguments.value.contains(&title),
            _ => false,
        });
        assert!(titled, "{target} has no label {title}");
        assert!(text.contains(&format!("--package {binary} ")), "{binary} is not built");
    }
}

#[test]
fn every_path_that_it_takes_from_the_repository_exists() {
    let text = text();
    let file = parse_dockerfile::parse(&text).unwrap();
    let mut taken = 0;
    for instruction in &file.instructions {
        match instruction {
            Instruction::Copy(copy) if options(&copy.options, "from").next().is_none() => {
                for source in &copy.src {
                    let Source::Path(path) = source else { continue };
                    assert!(repository(&*path.value).exists(), "{} does not exist", path.value);
                    taken += 1;
                }
            }
            Instruction::Run(run) => {
                for mount in options(&run.options, "mount").filter(|mount| mount.contains("type=bind")) {
                    let source = mount.split(',').find_map(|field| field.strip_prefix("source="));
                    let path = source.unwrap_or(".");
                    assert!(repository(path).exists(), "{path} does not exist");
                    taken += 1;
                }
            }
            _ => {}
        }
    }
    assert!(taken > 0, "nothing of the repository is in the images");
}

/// Literally: Dependabot does not look into arguments.
#[test]
fn its_compiler_is_the_one_that_the_workspace_asks_for_and_its_images_are_pinned() {
    let text = text();
    let manifest = fs::read_to_string(repository("Cargo.toml")).unwrap();
    let wanted =
        manifest.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap().trim_matches('"');
    let file = parse_dockerfile::parse(&text).unwrap();
    let images = file.stages().map(|stage| &*stage.from.image.value);
    let foreign: Vec<&str> = images.filter(|image| file.stage(image).is_none()).collect();
    let [rust, base] = foreign[..] else { panic!("{foreign:?}") };
    assert!(rust.starts_with(&format!("rust:{wanted}.")), "{rust}: not Rust {wanted}");
    assert!(rust.contains("-trixie@") && base.contains("debian13:"), "{foreign:?} are of two Debians");
    for image in foreign {
        let digest = image.split_once("@sha256:").map(|(_, digest)| digest);
        let hex = |digest: &str| digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
        assert!(digest.is_some_and(hex), "FROM {image}: its digest is missing");
    }
}

/// What .dockerignore leaves is a workspace that cargo takes, with every file that our code includes.
#[test]
fn what_dockerignore_leaves_is_enough_for_cargo() {
    let rules = fs::read_to_string(repository(".dockerignore")).unwrap();
    let rules: Vec<&str> = rules.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    assert_eq!(rules.first(), Some(&"*"), "everything is left out but what is named");
    let in_the_middle = rules.iter().find(|rule| rule.starts_with('!') && rule.contains('*'));
    assert_eq!(in_the_middle, None, "Docker's CLI 20.10 would not look into such a folder");
    let context = tempfile::tempdir().unwrap();
    let mut used = vec![false; rules.len()];
    let mut sources = Vec::new();
    for path in files(&repository("."), Path::new("")) {
        if is_left_out(&path, &rules, &mut used) {
            continue;
        }
        let copy = context.path().join(&path);
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(repository(&path), &copy).unwrap();
        let served =
            path.iter().all(|part| !["benches", "examples", "tests"].iter().any(|name| part == *name));
        assert!(served, "{} serves no image, and an edit of it would build them all", path.display());
        if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push(copy);
        }
    }
    for (rule, used) in rules.iter().zip(used).filter(|(rule, _)| rule.starts_with('!')) {
        assert!(used, ".dockerignore: {rule} speaks of nothing that is there");
    }
    let members = |metadata: &Value| metadata["workspace_members"].as_array().unwrap().len();
    assert_eq!(members(&metadata(context.path())), members(&metadata(&repository("."))));
    for source in sources {
        let text = fs::read_to_string(&source).unwrap();
        for included in text.split("include_str!(\"").skip(1) {
            let path = source.parent().unwrap().join(included.split('"').next().unwrap());
            assert!(path.exists(), "{} is left out, and {} includes it", path.display(), source.display());
        }
    }
}

/// As Docker does it: the last rule that speaks of a file or of a folder above it decides.
fn is_left_out(path: &Path, rules: &[&str], used: &mut [bool]) -> bool {
    let mut left_out = false;
    for (rule, used) in rules.iter().zip(used) {
        let (allows, pattern) = rule.strip_prefix('!').map_or((false, *rule), |pattern| (true, pattern));
        let speaks = if let Some(end) = pattern.strip_prefix("**/*") {
            path.to_string_lossy().ends_with(end)
        } else {
            let mut parts = path.iter();
            Path::new(pattern)
                .iter()
                .all(|part| parts.next().is_some_and(|other| part == "*" || part == other))
        };
        if speaks {
            *used = true;
            left_out = !allows;
        }
    }
    left_out
}

/// All files below a folder of the repository, without what git and cargo keep there.
fn files(root: &Path, folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root.join(folder)).unwrap() {
        let entry = entry.unwrap();
        let path = folder.join(entry.file_name());
        if !entry.file_type().unwrap().is_dir() {
            found.push(path);
        } else if ![".git", ".devstack", "target"].iter().any(|name| path.ends_with(name)) {
            found.extend(files(root, &path));
        }
    }
    found
}
