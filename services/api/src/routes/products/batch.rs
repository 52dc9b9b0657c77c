//! `/products/batch`: many writes, all of which take effect, or none.

use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use farmlokal_catalog::{Action, Batch, Done, Operation};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::conditions::precondition;
use super::response::product_json;
use super::write::{KeyHeader, PatchBody, product_fields};
use crate::entity_tag::EntityTag;
use crate::fields::{self, Fields, json, product_id};
use crate::problem::{Code, InvalidParam, Problem, ProblemBody};
use crate::routes::not_stored;
use crate::writes::{Kind, Writes};

/// A batch, for the OpenAPI document.
#[derive(ToSchema)]
#[schema(as = Batch, example = json!({"operations": [
    {"action": "put", "id": 1001, "product": {
        "name": "Alpine Meadow Goat Cheese, 250 g", "description": "Mild.", "category": "dairy", "price": 12.5
    }},
    {"action": "create", "product": {"name": "Hay Milk, 1 l", "description": "", "category": "dairy", "price": 1.9}},
]}))]
#[expect(dead_code, reason = "documentation")]
struct BatchBody {
    /// Each of another product.
    #[schema(min_items = 1, max_items = 1000)]
    operations: Vec<OperationBody>,
}

/// One write of a batch, for the OpenAPI document.
#[derive(ToSchema)]
#[schema(as = BatchOperation, rename_all = "camelCase")]
#[expect(dead_code, reason = "documentation")]
struct OperationBody {
    #[schema(inline)]
    action: ActionName,
    /// The product; there for all but `create`.
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_i64, nullable = false)]
    id: Option<u64>,
    /// For `create` and `put` everything, for `patch` what changes; absent for `delete`.
    #[schema(nullable = false)]
    product: Option<PatchBody>,
    /// As the header `If-Match`; not for `create`.
    #[schema(nullable = false)]
    if_match: Option<String>,
    /// As the header `If-None-Match`; not for `create`.
    #[schema(nullable = false)]
    if_none_match: Option<String>,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documentation")]
enum ActionName {
    Create,
    Put,
    Patch,
    Delete,
}

/// What a batch did.
#[derive(Serialize, ToSchema)]
#[schema(as = BatchResult)]
struct BatchResponse {
    /// What each operation did, in their order.
    results: Vec<ResultResponse>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = OperationResult)]
struct ResultResponse {
    #[schema(example = 1001, minimum = 1, maximum = 9_007_199_254_740_991_i64)]
    id: u64,
    /// `created`, `replaced`, `patched` or `deleted`.
    #[schema(example = "created", pattern = "^(created|replaced|patched|deleted)$")]
    outcome: &'static str,
    /// The product's entity tag, for `If-Match`; absent where it was deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    etag: Option<String>,
}

/// Write many products
///
/// Up to 1,000 operations, each of another product. All of them take effect together, or none: then each operation that
/// cannot be done is named by its index.
#[utoipa::path(
    post,
    path = "/products/batch",
    tag = "writes",
    params(KeyHeader),
    request_body(content = BatchBody, content_type = "application/json", description = "At most 2 MiB, unless `MAX_BATCH_BODY` says otherwise"),
    responses(
        (status = 200, description = "All operations have taken effect", body = BatchResponse),
        (status = 400, description = "The body is not valid; each bad field is named", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(in crate::routes) async fn write_batch(
    State(writes): State<Arc<Writes>>,
    request: Request,
) -> Result<Response, Problem> {
    let done = writes.take(Kind::Batch, request, |_, body| {
        operations(body).map_err(|params| Problem::naming(Code::InvalidBody, params))
    });
    let results = done.await?.iter().map(result).collect::<Result<_, _>>()?;
    Ok(not_stored(BatchResponse { results }))
}

fn result(done: &Done) -> Result<ResultResponse, Problem> {
    let etag = match done {
        Done::Created(product) | Done::Replaced(product) | Done::Patched(product) => {
            Some(EntityTag::of(&product_json(product)?).as_str().to_owned())
        }
        Done::Deleted(_) => None,
    };
    Ok(ResultResponse { id: done.product(), outcome: done.label(), etag })
}

/// Reads a batch.
///
/// # Errors
/// Every field of every operation that is wrong.
fn operations(body: &[u8]) -> Result<Vec<Operation>, Vec<InvalidParam>> {
    let batch = fields::body(body)?;
    let mut fields = Fields::default();
    fields.require_known(&batch, "", &["operations"]);
    let list = fields.read(&batch, "", "operations", |raw| {
        let list: Vec<&RawValue> = json(raw, "must be a list")?;
        let range = 1..=Batch::MAX_OPERATIONS;
        let detail = || format!("must have {} to {} operations", range.start(), range.end());
        if range.contains(&list.len()) { Ok(list) } else { Err(("out_of_range", detail())) }
    });
    let (mut operations, mut products) = (Vec::new(), HashSet::new());
    // All are read, so that all that is wrong is named.
    for (index, raw) in list.into_iter().flatten().enumerate() {
        let Some(operation) = operation(&mut fields, index, raw) else { continue };
        if operation.action.product().is_some_and(|id| !products.insert(id)) {
            let detail = "an operation before it is of the same product";
            fields.refuse(&format!("operations[{index}].id"), "repeated", detail);
        }
        operations.push(operation);
    }
    fields.finish(Some(operations))
}

fn operation(fields: &mut Fields, index: usize, raw: &RawValue) -> Option<Operation> {
    let name = format!("operations[{index}]");
    let members = fields.keep(&name, fields::members(raw))?;
    let (prefix, in_product) = (format!("{name}."), format!("{name}.product."));
    let action = fields.read(&members, &prefix, "action", |raw| json::<String>(raw, "must be a text"))?;
    let known: &[_] = match action.as_str() {
        "create" => &["action", "product"],
        "put" | "patch" => &["action", "id", "product", "ifMatch", "ifNoneMatch"],
        "delete" => &["action", "id", "ifMatch", "ifNoneMatch"],
        _ => {
            let detail = "must be create, put, patch or delete".to_owned();
            return fields.keep(&format!("{prefix}action"), Err(("malformed", detail)));
        }
    };
    fields.require_known(&members, &prefix, known);
    let mut id = None;
    if known.contains(&"id") {
        id = fields.read(&members, &prefix, "id", product_id);
    }
    let mut product = None;
    if known.contains(&"product") {
        product = fields.read(&members, &prefix, "product", fields::members);
    }
    let action = match action.as_str() {
        "create" => Action::Create(product_fields(fields, &product?, &in_product, None, Fields::draft)?),
        "put" => {
            let draft =
                product.and_then(|product| product_fields(fields, &product, &in_product, id, Fields::draft));
            Action::Put(id?, draft?)
        }
        "patch" => {
            let patch = product.and_then(|product| {
                product_fields(fields, &product, &in_product, id, |fields, members, prefix| {
                    Some(fields.patch(members, prefix))
                })
            });
            Action::Patch(id?, patch?)
        }
        _ => Action::Delete(id?),
    };
    let mut tags = |name| {
        let tags = fields.read_optional(&members, &prefix, name, |raw| json::<String>(raw, "must be a text"));
        tags.map(String::into_bytes)
    };
    let precondition = precondition(tags("ifMatch"), tags("ifNoneMatch"));
    Some(Operation { action, precondition })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(body: &str) -> Vec<(String, &'static str)> {
        let params = operations(body.as_bytes()).err().unwrap_or_default();
        params.into_iter().map(|param| (param.name, param.code)).collect()
    }

    #[test]
    fn every_kind_of_operation_is_read() {
        let body = r#"{"operations": [
            {"action": "create", "product": {"name": "a", "description": "", "category": "c", "price": 1}},
            {"action": "put", "id": 7, "ifNoneMatch": "*",
             "product": {"id": 7, "name": " a ", "description": "", "category": "c", "price": 1, "createdAt": 1}},
            {"action": "patch", "id": 8, "product": {"price": 2.50}, "ifMatch": "\"x\""},
            {"action": "delete", "id": 9}]}"#;
        let operations = operations(body.as_bytes()).unwrap_or_else(|params| panic!("{params:?}"));
        let actions: Vec<_> = operations.iter().map(|operation| &operation.action).collect();
        assert!(matches!(actions[0], Action::Create(_)));
        assert!(matches!(actions[1], Action::Put(7, draft) if draft.name == "a"), "{:?}", actions[1]);
        assert!(
            matches!(actions[2], Action::Patch(8, patch) if patch.name.is_none() && patch.price.is_some())
        );
        assert_eq!(actions[3], &Action::Delete(9));
        let conditions = operations.iter().map(|operation| operation.precondition.is_some());
        assert_eq!(conditions.collect::<Vec<_>>(), [false, true, true, false]);
    }

    #[test]
    fn all_that_is_wrong_is_named() {
        let body = r#"{"operations": [
            {"action": "create", "id": 1, "product": {"name": "", "description": "", "category": "c", "price": 1, "id": 1}},
            {"action": "put", "product": {"name": "a", "prize": 1}},
            {"action": "patch", "id": 8, "product": {"price": null, "id": 9}},
            {"action": "delete", "id": 0, "product": {}},
            {"action": "drop"}, {"id": 1}, 5, {"action": "delete", "id": 5}, {"action": "delete", "id": 5}], "more": 1}"#;
        let expected = [
            ("more", "unknown_field"),
            ("operations[0].id", "unknown_field"),
            ("operations[0].product.id", "read_only"),
            ("operations[0].product.name", "malformed"),
            ("operations[1].id", "missing"),
            ("operations[1].product.prize", "unknown_field"),
            ("operations[1].product.description", "missing"),
            ("operations[1].product.category", "missing"),
            ("operations[1].product.price", "missing"),
            ("operations[2].product.id", "read_only"),
            ("operations[2].product.price", "malformed"),
            ("operations[3].product", "unknown_field"),
            ("operations[3].id", "malformed"),
            ("operations[4].action", "malformed"),
            ("operations[5].action", "missing"),
            ("operations[6]", "malformed"),
            ("operations[8].id", "repeated"),
        ];
        assert_eq!(wrong(body), expected.map(|(name, code)| (name.to_owned(), code)));
        let many = format!("{{\"operations\": [{}]}}", vec!["1"; 1_001].join(","));
        for (body, code) in [
            (r#"{"operations": []}"#, "out_of_range"),
            (many.as_str(), "out_of_range"),
            (r#"{"operations": {}}"#, "malformed"),
            ("{}", "missing"),
        ] {
            assert_eq!(wrong(body), [("operations".to_owned(), code)]);
        }
        assert_eq!(wrong("[]"), [("body".to_owned(), "malformed")]);
    }
}
