//! What a failed step leaves to look at: the pods' state, the events, the end of each log.

use crate::kubectl::Kubectl;
use crate::report;

/// Prints it, as far as the cluster still answers.
pub(crate) async fn print(kubectl: &Kubectl) {
    let questions: [(&str, &[&str]); 5] = [
        ("nodes", &["get", "nodes", "--output", "wide"]),
        ("objects", &["get", "all,ingress,hpa,pdb,lease", "--output", "wide"]),
        ("catalogues", &["get", "productcatalogs", "--output", "yaml"]),
        ("events", &["get", "events", "--sort-by=.lastTimestamp"]),
        (
            "logs",
            &[
                "logs",
                "--selector=app.kubernetes.io/instance=farmlokal",
                "--prefix",
                "--tail=30",
                "--all-containers",
                "--ignore-errors",
            ],
        ),
    ];
    for (title, arguments) in questions {
        report::step("diagnosis", title);
        match kubectl.run(arguments).await {
            Ok(text) => report::say(last_lines(&text, 150)),
            Err(error) => report::say(format!("{error:#}")),
        }
    }
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n  ")
}
