//! What a failed step leaves to look at: the pods' state, the events, the end of each log.

use crate::kubectl;
use crate::report::{self, say};

const QUESTIONS: [&str; 7] = [
    "get nodes --output wide",
    "get all,ingress,hpa,pdb,lease --output wide",
    "get all,productcatalogs --namespace farmlokal-e2e-apply --output wide",
    "get events --namespace farmlokal-e2e-apply --sort-by=.lastTimestamp",
    "get productcatalogs --output yaml",
    "get events --sort-by=.lastTimestamp",
    "logs --selector=app.kubernetes.io/instance=farmlokal --prefix --tail=30 --all-containers --ignore-errors",
];

/// Prints it, as far as the cluster still answers.
pub(crate) async fn print() {
    for question in QUESTIONS {
        report::step("diagnosis", question);
        match kubectl::run(&question.split(' ').collect::<Vec<_>>()).await {
            Ok(text) => {
                let lines: Vec<&str> = text.lines().collect();
                say!("{}", lines[lines.len().saturating_sub(150)..].join("\n  "));
            }
            Err(error) => say!("{error:#}"),
        }
    }
}
