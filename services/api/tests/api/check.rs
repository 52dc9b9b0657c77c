//! `farmlokal-api check`

use std::process::Output;

use farmlokal_sandbox::Sandbox;

use crate::harness::{Api, command};

/// The exit code and what it said, on standard output or else on standard error.
async fn check(url: &str) -> (i32, String) {
    let url = url.to_owned();
    let run = move || command(&std::env::temp_dir()).args(["check", "--url", &url]).output().unwrap();
    let Output { status, stdout, stderr } = tokio::task::spawn_blocking(run).await.unwrap();
    let said = if status.success() { stdout } else { stderr };
    (status.code().unwrap(), String::from_utf8(said).unwrap().trim_end().to_owned())
}

#[tokio::test]
async fn a_list_passes_with_a_line_that_says_what_it_holds() {
    let api = Api::with_products(3).await;
    let (code, said) = check(&api.url("/products?limit=2&sort=id")).await;
    assert_eq!((code, said.as_str()), (0, r#"2 products, the first is 1: Käse "No. 1""#));
    let (code, said) = check(&api.url("/products?category=none")).await;
    assert_eq!((code, said.as_str()), (0, "0 products"));
}

#[tokio::test]
async fn anything_else_fails_with_a_line_that_says_why() {
    let (api, sandbox) = (Api::empty().await, Sandbox::start().await.unwrap());
    for (url, part) in [
        (api.url("/products?limit=0"), "400"),
        (api.url("/products/1"), "404"),
        (api.url("/categories"), "no list of products"),
        (format!("http://{}/control/faults", sandbox.address()), "no list of products"),
        ("http://127.0.0.1:1/products".to_owned(), "error"),
        ("nonsense".to_owned(), "GET nonsense"),
    ] {
        let (code, said) = check(&url).await;
        assert_eq!(code, 1, "{url}: {said}");
        assert!(said.starts_with("farmlokal-api: GET ") && said.contains(part), "{url}: {said}");
        assert_eq!(said.lines().count(), 1, "{url}: {said}");
    }
}
