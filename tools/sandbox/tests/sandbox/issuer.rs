use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use farmlokal_sandbox::{Config, Faults, Mode, Rotation, Sandbox};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use reqwest::Method;

use crate::client::{ask_api_a, client, read, send, token};

async fn jwt(sandbox: &Sandbox) -> String {
    let config = sandbox.config();
    let request = json!({
        "grant_type": "client_credentials",
        "client_id": config.client_id,
        "client_secret": config.client_secret.expose_secret(),
        "audience": "https://api.test",
        "scope": "products:write",
    });
    let answer = send("POST", &sandbox.token_url(), &request).await.unwrap();
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

/// The header and the claims.
fn decode(token: &str) -> [Value; 2] {
    let mut parts = token.split('.');
    [(); 2].map(|()| {
        let json = URL_SAFE_NO_PAD.decode(parts.next().unwrap()).unwrap();
        serde_json::from_slice(&json).unwrap()
    })
}

async fn get(sandbox: &Sandbox, path: &str) -> Value {
    read(client().get(format!("{}{path}", sandbox.url()))).await.unwrap().json()
}

#[tokio::test]
async fn a_token_for_an_audience_is_a_jwt_and_any_other_says_nothing() {
    let sandbox = Sandbox::start().await.unwrap();
    assert!(!token(&sandbox).await.contains('.'));
    let token = jwt(&sandbox).await;
    let [header, claims] = decode(&token);
    assert_eq!((&header["alg"], &header["typ"]), (&json!("ES256"), &json!("at+jwt")));
    assert_eq!(claims["iss"], sandbox.url());
    assert_eq!((&claims["aud"], &claims["scope"]), (&json!("https://api.test"), &json!("products:write")));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);
    // API A takes it as well, until it is revoked.
    assert_eq!(ask_api_a(&sandbox, &token).await.unwrap().status, 200);
    sandbox.revoke_tokens();
    assert_eq!(ask_api_a(&sandbox, &token).await.unwrap().status, 401);
    assert_ne!(jwt(&sandbox).await, token);
}

/// The requests of Swagger UI 5 for client credentials, from a page of another port: `authorizeApplication` and
/// `authorizeRequest` in its bundle.
#[tokio::test]
async fn a_page_of_another_origin_gets_a_token() {
    let sandbox = Sandbox::start().await.unwrap();
    let url = format!("{}?audience=https%3A%2F%2Fapi.test", sandbox.token_url());
    let origin = ("origin", "http://127.0.0.1:5000");
    let preflight = client().request(Method::OPTIONS, &url).header(origin.0, origin.1);
    let preflight = preflight.header("access-control-request-method", "POST");
    let preflight = preflight.header("access-control-request-headers", "authorization,x-requested-with");
    let allowed = read(preflight).await.unwrap();
    assert_eq!(
        (allowed.status, &allowed.headers["access-control-allow-origin"]),
        (200, &"*".parse().unwrap())
    );
    for (header, names) in [
        ("access-control-allow-methods", &["POST"][..]),
        ("access-control-allow-headers", &["authorization", "content-type", "x-requested-with"]),
    ] {
        let value = allowed.headers[header].to_str().unwrap();
        assert!(names.iter().all(|name| value.split(',').any(|each| each == *name)), "{header}: {value}");
    }
    assert_eq!(sandbox.counters().token.requests, 0, "a preflight asks for nothing");

    let request =
        client().post(&url).header(origin.0, origin.1).basic_auth("farmlokal", Some("sandbox-secret"));
    let request = request.header("accept", "application/json, text/plain, */*");
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let request = request.header("x-requested-with", "XMLHttpRequest");
    let answer = read(request.body("grant_type=client_credentials&scope=products%3Awrite")).await.unwrap();
    assert_eq!((answer.status, &answer.headers["access-control-allow-origin"]), (200, &"*".parse().unwrap()));
    let [_, claims] = decode(answer.json()["access_token"].as_str().unwrap());
    assert_eq!((&claims["aud"], &claims["scope"]), (&json!("https://api.test"), &json!("products:write")));

    // A refusal too: a page that may not read it cannot show why.
    let refused = client().post(&url).header(origin.0, origin.1).body("grant_type=client_credentials");
    let refused = read(refused).await.unwrap();
    assert_eq!(
        (refused.status, &refused.headers["access-control-allow-origin"]),
        (401, &"*".parse().unwrap())
    );
    for path in ["/.well-known/openid-configuration", "/.well-known/jwks.json"] {
        let document = client().get(format!("{}{path}", sandbox.url())).header(origin.0, origin.1);
        assert_eq!(read(document).await.unwrap().headers["access-control-allow-origin"], "*", "{path}");
    }
    // The switches are for whoever runs the sandbox, not for pages.
    let control = client().get(format!("{}/control/faults", sandbox.url())).header(origin.0, origin.1);
    assert!(!read(control).await.unwrap().headers.contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn both_documents_name_the_issuer_and_its_keys() {
    let config = Config { issuer: Some("http://sandbox:5100/".into()), ..Config::default() };
    let sandbox = Sandbox::start_with(config).await.unwrap();
    for name in ["openid-configuration", "oauth-authorization-server"] {
        let document = get(&sandbox, &format!("/.well-known/{name}")).await;
        assert_eq!(document["issuer"], "http://sandbox:5100/");
        assert_eq!(document["jwks_uri"], "http://sandbox:5100/.well-known/jwks.json");
        assert_eq!(document["token_endpoint"], "http://sandbox:5100/oauth/token");
    }
    assert_eq!(decode(&jwt(&sandbox).await)[1]["iss"], "http://sandbox:5100/");
    assert_eq!((sandbox.counters().discovery.requests, sandbox.counters().keys.requests), (2, 0));
}

#[tokio::test]
async fn keys_are_rotated_over_http() {
    let sandbox = Sandbox::start().await.unwrap();
    let kids = async || {
        let jwks = get(&sandbox, "/.well-known/jwks.json").await;
        let keys = jwks["keys"].as_array().unwrap().iter();
        keys.map(|key| key["kid"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let signing = async || decode(&jwt(&sandbox).await)[0]["kid"].as_str().unwrap().to_owned();
    let url = format!("{}/control/keys", sandbox.url());
    let first = signing().await;
    assert_eq!(kids().await, [first.as_str()]);

    assert_eq!(send("POST", &url, &json!({ "algorithm": "EdDSA" })).await.unwrap().status, 200);
    let second = signing().await;
    assert_eq!(kids().await, [first, second.clone()]);
    assert_eq!(decode(&jwt(&sandbox).await)[0]["alg"], "EdDSA");

    send("POST", &url, &json!({ "keepOld": false })).await.unwrap();
    let third = signing().await;
    assert_eq!(kids().await, [third.as_str()]);

    // A key that nobody knows, until a reset.
    sandbox.rotate_keys(Rotation { publish: false, ..Rotation::default() }).unwrap();
    let fourth = signing().await;
    assert_eq!(kids().await, [third.as_str()]);
    sandbox.reset();
    assert_eq!(kids().await, [third, fourth]);

    assert_eq!(send("POST", &url, &json!({ "algorithm": "none" })).await.unwrap().status, 422);
}

#[tokio::test]
async fn documents_and_keys_have_faults_of_their_own() {
    let sandbox = Sandbox::start().await.unwrap();
    let url = format!("{}/control/faults", sandbox.url());
    send("PUT", &url, &json!({ "keys": { "mode": "down" }, "discovery": { "mode": "error" } }))
        .await
        .unwrap();
    assert!(read(client().get(format!("{}/.well-known/jwks.json", sandbox.url()))).await.is_err());
    let document = read(client().get(format!("{}/.well-known/openid-configuration", sandbox.url()))).await;
    assert_eq!(document.unwrap().status, 503);
    sandbox.set_faults(Faults { keys: Mode::Empty.into(), ..Faults::default() });
    assert_eq!(get(&sandbox, "/.well-known/jwks.json").await, json!({}));
}
