//! `ProductCatalog`: what operators write, and what the controller answers in its status.

#![allow(clippy::doc_markdown, reason = "the comments are the descriptions that kubectl explain shows")]
#![allow(clippy::duplicated_attributes, reason = "each printer column has a type of its own")]
#![allow(unreachable_pub, reason = "the derived schema has copies of the structs inside functions")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::core::crd::CustomResourceExt as _;
use kube::{CustomResource, KubeSchema, ResourceExt as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A new value of this annotation asks for a flush. Any text will do; a time reads best.
pub const FLUSH_REQUESTED_AT: &str = "farmlokal.dev/flush-requested-at";

/// A product catalogue whose cache is flushed once for each change of its spec, and once for each new value of the annotation farmlokal.dev/flush-requested-at.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[rustfmt::skip]
#[kube(
    group = "farmlokal.dev",
    version = "v1alpha1",
    kind = "ProductCatalog",
    plural = "productcatalogs",
    shortname = "pcat",
    category = "farmlokal",
    namespaced,
    status = "ProductCatalogStatus",
    derive = "PartialEq",
    doc = "A product catalogue whose cache is flushed once for each change of its spec, and once for each new value of the annotation farmlokal.dev/flush-requested-at.",
    printcolumn(name = "Catalogue", type_ = "string", json_path = ".spec.displayName"),
    printcolumn(name = "Release", type_ = "string", json_path = ".spec.release"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Keys", type_ = "integer", json_path = ".status.keysFlushed"),
    printcolumn(name = "Flushed", type_ = "date", json_path = ".status.lastFlushTime"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Took ms", type_ = "integer", json_path = ".status.lastFlushDurationMilliseconds", priority = 1),
    printcolumn(name = "Degraded", type_ = "string", json_path = ".status.conditions[?(@.type=='Degraded')].status", priority = 1),
    printcolumn(name = "Flushed status", type_ = "string", json_path = ".status.conditions[?(@.type=='Flushed')].status", priority = 1),
    printcolumn(name = "Generation", type_ = "integer", json_path = ".status.observedGeneration", priority = 1),
    printcolumn(name = "Suspended", type_ = "boolean", json_path = ".spec.suspend", priority = 1),
    printcolumn(name = "Request", type_ = "string", json_path = ".status.lastHandledRequest", priority = 1)
)]
#[serde(rename_all = "camelCase")]
pub struct ProductCatalogSpec {
    /// Whose controller serves this catalogue, and whose Redis is flushed: the name that the objects of the chart's release begin with. Where there is none of this name, nobody writes the status.
    #[schemars(length(min = 1, max = 53), extend("pattern" = "^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"))]
    pub release: String,

    /// What catalogue this is, for people.
    #[schemars(length(min = 1, max = 100))]
    #[x_kube(validation = Rule::new("self.trim().size() > 0").message("displayName must say what catalogue this is: it is blank"))]
    pub display_name: String,

    /// More about it, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000))]
    pub description: Option<String>,

    /// What the cached answers were made by, such as the version of the API and of its configuration. A new one flushes, as every change of the spec does.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub version: Option<String>,

    /// Holds flushes back. A flush that is pending then is done, once, when this is false again.
    #[serde(default)]
    pub suspend: bool,
}

/// What the controller has done.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProductCatalogStatus {
    /// Ready: nothing is wrong, and no flush is pending but one that suspend holds back. Flushed: the cache was flushed for the present spec and request. Degraded: flushing fails, and why.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,

    /// The generation of the spec that the controller has looked at last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// The generation of the spec that was flushed for last; a flush is pending while it is not metadata.generation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flushed_generation: Option<i64>,

    /// The value of the annotation farmlokal.dev/flush-requested-at that was flushed for last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_request: Option<String>,

    /// When the last flush ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_flush_time: Option<Time>,

    /// Keys that the last flush removed from Redis.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub keys_flushed: Option<i64>,

    /// How long the last flush took.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub last_flush_duration_milliseconds: Option<i64>,
}

impl ProductCatalog {
    /// The flush that the annotation asks for; an empty value asks for none.
    #[must_use]
    pub fn flush_request(&self) -> Option<&str> {
        self.annotations().get(FLUSH_REQUESTED_AT).map(String::as_str).filter(|request| !request.is_empty())
    }
}

/// Prints the definition as YAML, as the chart has it.
///
/// # Errors
/// None is expected: every part of it can be written as YAML.
#[expect(clippy::print_stdout, reason = "the definition is what was asked for")]
pub fn print() -> anyhow::Result<()> {
    // By way of JSON: a definition has no field that is neither there nor null.
    let definition = serde_json::to_value(ProductCatalog::crd())?;
    print!("{}", serde_saphyr::to_string(&definition)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use kube::core::cel::Validator;
    use serde_json::{Value, json};

    use super::*;

    /// What the CEL rules say about this spec.
    fn refusals(spec: &Value) -> Vec<String> {
        let definition = serde_json::to_value(ProductCatalog::crd()).unwrap();
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        let object = json!({
            "apiVersion": "farmlokal.dev/v1alpha1",
            "kind": "ProductCatalog",
            "metadata": { "name": "main" },
            "spec": spec,
        });
        match Validator::new().validate(schema, &object, None) {
            Ok(()) => vec![],
            Err(errors) => errors.into_vec().iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn good_specs_pass() {
        for spec in [
            json!({ "release": "shop", "displayName": "Main" }),
            json!({ "release": "shop", "displayName": " Höfe & Co ", "description": "All of it", "suspend": true }),
        ] {
            assert_eq!(refusals(&spec), Vec::<String>::new(), "{spec}");
        }
    }

    #[test]
    fn a_blank_name_is_refused_with_a_message_that_says_what_to_write() {
        let refusals = refusals(&json!({ "release": "shop", "displayName": "  \t" }));
        assert!(refusals.len() == 1, "{refusals:?}");
        assert!(refusals[0].contains("displayName must say what catalogue this is"), "{refusals:?}");
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        let spec: ProductCatalogSpec =
            serde_json::from_value(json!({ "release": "shop", "displayName": "M" })).unwrap();
        assert!(!spec.suspend && spec.description.is_none() && spec.version.is_none());
    }
}
