//! What a query asks for, and which labels its answer has.

use std::collections::BTreeSet;

use promql_parser::parser::{self, Expr, LabelModifier, VectorSelector};
use promql_parser::util::{ExprVisitor, walk_expr};

use crate::exposition::Exposition;

/// A query with Grafana's variables as Grafana would fill them in.
pub(crate) fn filled_in(query: &str) -> String {
    query
        .replace("$__rate_interval", "5m")
        .replace("$__interval_ms", "60000")
        .replace("$__interval", "1m")
        .replace("$cluster", "here")
        .replace("$namespace", "shop")
        .replace("$job", "api")
        .replace("$pod", "a|b")
}

/// Checks everything that a query names, and returns the labels of its answer.
pub(crate) fn check(query: &str, real: &Exposition) -> Result<BTreeSet<String>, String> {
    let parsed = parser::parse(query).map_err(|error| format!("{query}: {error}"))?;
    let mut names = Names { real, wrong: Vec::new() };
    let _ = walk_expr(&mut names, &parsed);
    if names.wrong.is_empty() {
        labels(&parsed, real)
    } else {
        Err(format!("{query}: {}", names.wrong.join("; ")))
    }
}

/// The names of all series that a query reads.
pub(crate) fn series(query: &str) -> BTreeSet<String> {
    struct Series(BTreeSet<String>);
    impl ExprVisitor for Series {
        type Error = ();

        fn pre_visit(&mut self, expr: &Expr) -> Result<bool, ()> {
            self.0.extend(selector(expr).and_then(|selector| selector.name.clone()));
            Ok(true)
        }
    }
    let mut series = Series(BTreeSet::new());
    let _ = walk_expr(&mut series, &parser::parse(query).unwrap());
    series.0
}

struct Names<'r> {
    real: &'r Exposition,
    wrong: Vec<String>,
}

impl ExprVisitor for Names<'_> {
    type Error = ();

    fn pre_visit(&mut self, expr: &Expr) -> Result<bool, ()> {
        if let Some(selector) = selector(expr) {
            self.wrong.extend(self.real.check(selector).err());
        }
        // What is grouped by, or matched on, has to be there as well.
        let (inner, named): (Vec<&Expr>, _) = match expr {
            Expr::Aggregate(aggregate) => (vec![&aggregate.expr], aggregate.modifier.as_ref()),
            Expr::Binary(binary) => {
                let matching = binary.modifier.as_ref().and_then(|modifier| modifier.matching.as_ref());
                (vec![&binary.lhs, &binary.rhs], matching)
            }
            _ => (Vec::new(), None),
        };
        if let Some(LabelModifier::Include(named)) = named {
            for inner in inner {
                let there = labels(inner, self.real).unwrap_or_default();
                let missing = named.labels.iter().filter(|label| !there.contains(*label));
                self.wrong.extend(missing.map(|label| format!("{inner} has no label {label}")));
            }
        }
        Ok(true)
    }
}

fn selector(expr: &Expr) -> Option<&VectorSelector> {
    match expr {
        Expr::VectorSelector(selector) => Some(selector),
        Expr::MatrixSelector(matrix) => Some(&matrix.vs),
        _ => None,
    }
}

/// The labels that a query's answer may have.
fn labels(expr: &Expr, real: &Exposition) -> Result<BTreeSet<String>, String> {
    if let Some(selector) = selector(expr) {
        return real.labels(selector);
    }
    match expr {
        Expr::Aggregate(aggregate) => Ok(match &aggregate.modifier {
            Some(LabelModifier::Include(labels)) => labels.labels.iter().cloned().collect(),
            Some(LabelModifier::Exclude(_)) => {
                return Err(format!("{expr}: `without` depends on the scrape"));
            }
            None => BTreeSet::new(),
        }),
        Expr::Call(call) => {
            let argument =
                call.args.args.iter().find(|argument| !matches!(***argument, Expr::NumberLiteral(_)));
            let mut labels = argument.map_or(Ok(BTreeSet::new()), |argument| labels(argument, real))?;
            if call.func.name == "label_replace"
                && let Expr::StringLiteral(new) = &*call.args.args[1]
            {
                labels.insert(new.val.clone());
            }
            if call.func.name == "histogram_quantile" && !labels.remove("le") {
                return Err(format!("{expr} needs the label le"));
            }
            Ok(labels)
        }
        // One side may be a number; else both have to agree, and the left one is what comes out.
        Expr::Binary(binary) if is_number(&binary.lhs) => labels(&binary.rhs, real),
        Expr::Binary(binary) => labels(&binary.lhs, real),
        Expr::Paren(paren) => labels(&paren.expr, real),
        Expr::Unary(unary) => labels(&unary.expr, real),
        Expr::Subquery(subquery) => labels(&subquery.expr, real),
        _ => Ok(BTreeSet::new()),
    }
}

fn is_number(expr: &Expr) -> bool {
    match expr {
        Expr::NumberLiteral(_) => true,
        Expr::Call(call) => call.func.name == "time",
        _ => false,
    }
}

/// The labels of a template such as `{{ $labels.pod }}` or `{{pod}}`.
pub(crate) fn labels_in_template(template: &str) -> BTreeSet<String> {
    let inside = template
        .split("{{")
        .skip(1)
        .filter_map(|rest| rest.split_once("}}"))
        .map(|(inside, _)| inside.trim());
    let label = |inside: &str| match inside.strip_prefix("$labels.") {
        Some(label) => Some(label.to_owned()),
        None => (!inside.starts_with('$')).then(|| inside.to_owned()),
    };
    inside.filter_map(label).collect()
}
