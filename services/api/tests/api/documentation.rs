//! GET /openapi.json, /docs, /problems

use std::process::Command;

use serde_json::{Value, json};

use crate::harness::Api;

#[tokio::test]
async fn the_document_is_the_one_that_the_binary_prints() {
    let printed = Command::new(env!("CARGO_BIN_EXE_farmlokal-api")).arg("openapi").output().unwrap();
    let document = String::from_utf8(printed.stdout).unwrap();
    insta::assert_snapshot!("openapi", document);

    let api = Api::empty().await;
    let served = api.get("/openapi.json").await;
    assert_eq!(served.header("content-type"), "application/json");
    assert_eq!(served.json(), serde_json::from_str::<serde_json::Value>(&document).unwrap());
}

/// The statuses of each operation that writes.
const WRITES: [(&str, &str, &str); 5] = [
    ("/products", "post", "201 400 401 403 408 409 413 415 422 429 503 507"),
    ("/products/batch", "post", "200 400 401 403 408 409 413 415 422 429 503"),
    ("/products/{id}", "delete", "204 400 401 403 404 409 412 422 429 503"),
    ("/products/{id}", "patch", "200 204 400 401 403 404 408 409 412 413 415 422 429 503"),
    ("/products/{id}", "put", "200 201 204 400 401 403 408 409 412 413 415 422 429 503"),
];

#[tokio::test]
async fn with_an_issuer_the_document_has_the_writes_and_who_may() {
    let auth = [
        ("AUTH_ISSUER", "http://127.0.0.1:1"),
        ("AUTH_AUDIENCE", "a"),
        ("AUTH_SCOPE", "edit"),
        ("AUTH_TOKEN_URL", "https://issuer.test/oauth/token"),
    ];
    let printed =
        Command::new(env!("CARGO_BIN_EXE_farmlokal-api")).arg("openapi").envs(auth).output().unwrap();
    let api = Api::with(&auth).await;
    let document = api.get("/openapi.json").await.json();
    assert_eq!(document, serde_json::from_slice::<Value>(&printed.stdout).unwrap());

    let mut found = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            if operation["tags"][0] != "writes" {
                assert!(operation.get("security").is_none(), "{method} {path}");
                continue;
            }
            let statuses: Vec<_> = operation["responses"].as_object().unwrap().keys().cloned().collect();
            found.push((path.as_str(), method.as_str(), statuses.join(" ")));
            assert_eq!(operation["security"], json!([{"token": []}, {"clientCredentials": ["edit"]}]));
            let parameters = operation["parameters"].as_array().unwrap();
            assert!(parameters.iter().any(|parameter| parameter["name"] == "Idempotency-Key"), "{path}");
        }
    }
    found.sort();
    let expected = WRITES.map(|(path, method, statuses)| (path, method, statuses.to_owned()));
    assert_eq!(found, expected);
    let schemes = &document["components"]["securitySchemes"];
    assert_eq!(schemes["token"], json!({"type": "http", "scheme": "bearer"}));
    let flow = &schemes["clientCredentials"]["flows"]["clientCredentials"];
    assert_eq!((&flow["tokenUrl"], &flow["scopes"]["edit"]), (&json!(auth[3].1), &json!("Write products")));
    assert!(document["tags"].as_array().unwrap().iter().any(|tag| tag["name"] == "writes"));

    // All that is there for those without an issuer is as it is for them.
    let without = Command::new(env!("CARGO_BIN_EXE_farmlokal-api")).arg("openapi").output().unwrap();
    let without: Value = serde_json::from_slice(&without.stdout).unwrap();
    for (path, operations) in without["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            assert_eq!(&document["paths"][path][method], operation, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn every_documented_operation_exists() {
    let api = Api::with_products(1).await;
    let document = api.get("/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    for (path, operations) in document["paths"].as_object().unwrap() {
        let Some(documented) = operations["get"]["responses"].as_object() else { continue };
        let answer = api.get(&with_examples(path, &operations["get"])).await;
        assert!(documented.contains_key(&answer.status.to_string()), "{path}: {}", answer.status);
        // Nothing is configured to call partners with; `partners/` tests what happens when it is.
        let expected = if operations["get"]["tags"][0] == "partners" { 404 } else { 200 };
        assert_eq!(answer.status, expected, "{path}");
    }
}

/// What the page at /docs asks for when nothing is filled in by hand.
fn with_examples(path: &str, operation: &Value) -> String {
    let mut query = Vec::new();
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let value = match &parameter["example"] {
            Value::Array(values) => {
                values.iter().map(|value| value.as_str().unwrap()).collect::<Vec<_>>().join(",")
            }
            Value::String(text) => text.clone(),
            Value::Null => continue,
            other => other.to_string(),
        };
        if parameter["in"] == "query" {
            query.push(format!("{}={value}", parameter["name"].as_str().unwrap()));
        }
    }
    let path = path.replace("{id}", "1");
    if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) }
}

#[tokio::test]
async fn every_link_of_the_descriptions_works() {
    let api = Api::with_products(7).await;
    let document = api.get("/openapi.json").await.text().to_owned();
    let links: Vec<_> = document.split("](/").skip(1).map(|link| link.split(')').next().unwrap()).collect();
    assert!(links.len() >= 5, "{links:?}");
    for link in links {
        assert_eq!(api.get(&format!("/{link}")).await.status, 200, "{link}");
    }
}

#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere() {
    let api = Api::empty().await;
    assert_eq!(api.get("/").await.header("location"), "/docs");
    assert_eq!(api.get("/docs").await.header("location"), "/docs/");
    let page = api.get("/docs/").await;
    assert_eq!(page.status, 200);
    let attributes = page.text().split(['"', '\'']).filter(|text| text.contains("//"));
    assert_eq!(attributes.collect::<Vec<_>>(), Vec::<&str>::new());
    for file in ["swagger-ui-bundle.js", "swagger-ui.css", "swagger-initializer.js"] {
        let answer = api.get_with(&format!("/docs/{file}"), &[("accept-encoding", "gzip")]).await;
        assert_eq!(answer.status, 200, "{file}");
    }
}

#[tokio::test]
async fn a_path_that_is_none_is_a_problem() {
    let api = Api::empty().await;
    for path in ["/docs/nope", "/docs/a/b", "/problems/x", "/openapi.json/", "/nope"] {
        let answer = api.get_with(path, &[("accept-encoding", "gzip")]).await;
        let found = (answer.status, answer.header("content-type"), answer.json()["code"].clone());
        assert_eq!(found, (404, "application/problem+json", "not_found".into()), "{path}");
    }
}

#[tokio::test]
async fn the_page_asks_for_tokens_of_this_api() {
    let settings = [
        ("AUTH_ISSUER", "http://127.0.0.1:9"),
        ("AUTH_AUDIENCE", "https://api.test"),
        ("AUTH_TOKEN_URL", "http://127.0.0.1:9/oauth/token"),
    ];
    let api = Api::with_products_and(0, &settings).await;
    let script = api.get("/docs/swagger-initializer.js").await.text().to_owned();
    let (_, oauth) = script.split_once("ui.initOAuth(").unwrap();
    let oauth: Value = serde_json::from_str(oauth.split_once(");").unwrap().0).unwrap();
    let expected = json!({
        "scopes": ["products:write"],
        "additionalQueryStringParams": {"audience": "https://api.test"},
    });
    assert_eq!(oauth, expected);
    let api = Api::empty().await;
    assert!(!api.get("/docs/swagger-initializer.js").await.text().contains("initOAuth"));
}

#[tokio::test]
async fn every_problem_points_to_its_explanation() {
    let api = Api::empty().await;
    let explanations = api.get("/problems").await;
    let problem = api.get("/products?limit=0").await.json();
    let (page, anchor) = problem["type"].as_str().unwrap().split_once('#').unwrap();
    assert_eq!((page, anchor), ("/problems", problem["code"].as_str().unwrap()));
    assert!(explanations.text().contains(&format!("id=\"{anchor}\"")));
}

#[tokio::test]
async fn every_documented_parameter_is_taken() {
    let api = Api::with_products(1).await;
    let document = api.get("/openapi.json").await.json();
    let parameters = document["paths"]["/products"]["get"]["parameters"].as_array().unwrap();
    assert_eq!(parameters.len(), 11);
    for parameter in parameters {
        let name = parameter["name"].as_str().unwrap();
        let answer = api.get(&format!("/products?{name}=")).await;
        // Empty is malformed for each of them, and none is unknown.
        let params = answer.json()["params"].clone();
        assert_eq!((answer.status, params[0]["name"].as_str()), (400, Some(name)));
        assert_ne!(params[0]["code"], "unknown_parameter", "{name}");
    }
}
