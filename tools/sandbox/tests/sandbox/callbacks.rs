use farmlokal_sandbox::{Faults, Mode, Sandbox};
use serde_json::json;

use crate::client::send;

#[tokio::test]
async fn a_callback_is_registered_once_however_often_it_is_sent() {
    let sandbox = Sandbox::start().await.unwrap();
    let url = sandbox.callbacks_url();
    let register = async |callback: &str| {
        let answer = send("POST", &url, &json!({ "url": callback })).await.unwrap();
        assert_eq!(answer.json()["url"], callback);
        answer.status
    };
    assert_eq!(register("http://127.0.0.1:5000/webhook").await, 201);
    assert_eq!(register("http://127.0.0.1:5000/webhook").await, 200);
    assert_eq!(register("http://api.example/webhook?tenant=1").await, 201);
    let callbacks = ["http://127.0.0.1:5000/webhook", "http://api.example/webhook?tenant=1"];
    assert_eq!(sandbox.callbacks(), callbacks);
}

#[tokio::test]
async fn what_cannot_be_called_is_refused_and_so_are_too_many() {
    let sandbox = Sandbox::start().await.unwrap();
    let register = async |callback| send("POST", &sandbox.callbacks_url(), &callback).await.unwrap();
    for bad in ["ftp://127.0.0.1/", "/webhook", "not a url", "https://api.example/", "http://"] {
        assert_eq!(register(json!({ "url": bad })).await.status, 422, "{bad}");
    }
    assert_eq!(register(json!({ "url": "http://127.0.0.1/", "key": "" })).await.status, 422);
    for number in 0..16 {
        assert_eq!(register(json!({ "url": format!("http://127.0.0.1/{number}") })).await.status, 201);
    }
    assert_eq!(register(json!({ "url": "http://127.0.0.1/16" })).await.status, 409);
    assert_eq!(register(json!({ "url": "http://127.0.0.1/0" })).await.status, 200);
    assert_eq!(sandbox.callbacks().len(), 16);
}

#[tokio::test]
async fn registration_can_fail_as_the_other_endpoints_do() {
    let sandbox = Sandbox::start().await.unwrap();
    sandbox.set_faults(Faults { api_b: Mode::Reset.into(), ..Faults::default() });
    let register =
        || async { send("POST", &sandbox.callbacks_url(), &json!({ "url": "http://127.0.0.1/" })).await };
    register().await.unwrap_err();
    sandbox.reset();
    assert_eq!(register().await.unwrap().status, 201);
    assert_eq!(sandbox.counters().api_b.succeeded, 1);
}
