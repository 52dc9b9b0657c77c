//! YAML as JSON values, which `serde_json` has pointers and macros for.

use anyhow::Context as _;
use serde_json::Value;

/// All documents of a text, without the empty ones.
///
/// # Errors
/// A text that is no YAML, with the line.
pub fn documents(text: &str) -> anyhow::Result<Vec<Value>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).context("no YAML")?;
    Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
}

/// The one document of a text.
///
/// # Errors
/// As [`documents`], and another number of documents.
pub fn document(text: &str) -> anyhow::Result<Value> {
    let mut documents = documents(text)?;
    anyhow::ensure!(documents.len() == 1, "{} documents instead of one", documents.len());
    documents.pop().context("no document")
}
