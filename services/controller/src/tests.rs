//! What the unit tests share: an API server that answers from memory and can be made to fail, and a Redis to flush.

use std::collections::{BTreeMap, VecDeque};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};

use http::{Request, Response};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

use crate::crd::ProductCatalog;

/// The namespace of all tests.
pub(crate) const NAMESPACE: &str = "farm";

/// The release whose controller the tests are about.
pub(crate) const RELEASE: &str = "shop";

/// An API server with some objects.
#[derive(Clone, Default)]
pub(crate) struct FakeApi(Arc<Mutex<Objects>>);

#[derive(Default)]
pub(crate) struct Objects {
    by_path: BTreeMap<String, Value>,
    version: u64,
    /// `METHOD path`, as they came.
    pub(crate) requests: Vec<String>,
    /// The Events that were created.
    pub(crate) events: Vec<Value>,
    /// The next request with this method gets this status instead.
    faults: VecDeque<(&'static str, u16)>,
    /// Requests get no answer.
    hangs: bool,
}

impl FakeApi {
    /// A client of this server.
    pub(crate) fn client(&self) -> Client {
        let (service, handle) = tower_test::mock::pair::<Request<Body>, Response<Body>>();
        let objects = self.clone();
        tokio::spawn(async move {
            let mut handle = pin!(handle);
            let mut unanswered = Vec::new();
            while let Some((request, answer)) = handle.next_request().await {
                let (head, body) = request.into_parts();
                if objects.objects().hangs {
                    unanswered.push(answer);
                    continue;
                }
                let body = body.collect().await.unwrap().to_bytes();
                let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
                let (code, body) = objects.objects().answer(head.method.as_str(), head.uri.path(), body);
                let body = Body::from(serde_json::to_vec(&body).unwrap());
                answer.send_response(Response::builder().status(code).body(body).unwrap());
            }
        });
        Client::new(service, NAMESPACE)
    }

    pub(crate) fn objects(&self) -> MutexGuard<'_, Objects> {
        self.0.lock().unwrap()
    }

    /// The next requests with this method fail, one for each status.
    pub(crate) fn fail(&self, method: &'static str, codes: &[u16]) {
        self.objects().faults.extend(codes.iter().map(|code| (method, *code)));
    }

    /// From now on no request is answered.
    pub(crate) fn hang(&self) {
        self.objects().hangs = true;
    }

    /// Creates or replaces an object.
    pub(crate) fn put(&self, path: &str, object: Value) {
        self.objects().put(path, object);
    }

    pub(crate) fn put_catalog(&self, object: &ProductCatalog) {
        let path = catalog_path(object.metadata.name.as_deref().unwrap());
        self.put(&path, serde_json::to_value(object).unwrap());
    }

    /// The catalogue as it is now.
    pub(crate) fn catalog(&self, name: &str) -> Arc<ProductCatalog> {
        let object = self.objects().by_path[&catalog_path(name)].clone();
        Arc::new(serde_json::from_value(object).unwrap())
    }

    pub(crate) fn remove_catalog(&self, name: &str) {
        self.remove(&catalog_path(name));
    }

    pub(crate) fn remove(&self, path: &str) {
        self.objects().by_path.remove(path);
    }

    /// Requests of one method.
    pub(crate) fn count(&self, method: &str) -> usize {
        self.objects().requests.iter().filter(|request| request.starts_with(method)).count()
    }

    /// The reasons of all Events.
    pub(crate) fn events(&self) -> Vec<String> {
        self.objects().events.iter().map(|event| event["reason"].as_str().unwrap().to_owned()).collect()
    }
}

impl Objects {
    fn put(&mut self, path: &str, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.by_path.insert(path.to_owned(), object.clone());
        object
    }

    fn answer(&mut self, method: &str, path: &str, body: Value) -> (u16, Value) {
        self.requests.push(format!("{method} {path}"));
        if self.faults.front().is_some_and(|(of, _)| *of == method) {
            let (_, code) = self.faults.pop_front().unwrap();
            return failure(code);
        }
        let stored = self.by_path.get(path.trim_end_matches("/status")).cloned();
        let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
        match (method, stored) {
            ("GET", Some(object)) => (200, object),
            ("POST", _) if path.ends_with("/events") => {
                self.events.push(body.clone());
                (201, body)
            }
            ("POST", _) => {
                let path = format!("{path}/{}", body["metadata"]["name"].as_str().unwrap());
                if self.by_path.contains_key(&path) { failure(409) } else { (201, self.put(&path, body)) }
            }
            ("PUT", Some(object)) => {
                if version(&object) == version(&body) {
                    (200, self.put(path, body))
                } else {
                    failure(409)
                }
            }
            ("PATCH", Some(mut object)) => {
                if version(&object) != version(&body) && !version(&body).is_null() {
                    return failure(409);
                }
                object["status"] = body["status"].clone();
                (200, self.put(path.trim_end_matches("/status"), object))
            }
            _ => failure(404),
        }
    }
}

fn failure(code: u16) -> (u16, Value) {
    let reason = match code {
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        422 => "Invalid",
        503 => "ServiceUnavailable",
        _ => "InternalError",
    };
    (
        code,
        json!({ "kind": "Status", "status": "Failure", "code": code, "message": "as told", "reason": reason }),
    )
}

fn catalog_path(name: &str) -> String {
    format!("/apis/farmlokal.dev/v1alpha1/namespaces/{NAMESPACE}/productcatalogs/{name}")
}

/// A catalogue named `main`, as just created, with changes to its JSON.
pub(crate) fn catalog(change: impl FnOnce(&mut Value)) -> ProductCatalog {
    let mut object = json!({
        "apiVersion": "farmlokal.dev/v1alpha1",
        "kind": "ProductCatalog",
        "metadata": { "name": "main", "namespace": NAMESPACE, "uid": "uid-1", "generation": 1 },
        "spec": { "release": RELEASE, "displayName": "Main", "suspend": false },
    });
    change(&mut object);
    serde_json::from_value(object).unwrap()
}

/// Looks into a Redis, and sees whether it was flushed.
pub(crate) struct Look(redis::Connection);

impl Look {
    pub(crate) fn into(url: &str) -> Self {
        Self(redis::Client::open(url).unwrap().get_connection().unwrap())
    }

    /// Puts an entry there.
    pub(crate) fn put(&mut self, key: &str) {
        redis::cmd("SET").arg(key).arg("entry").exec(&mut self.0).unwrap();
    }

    /// Puts so many there.
    pub(crate) fn fill(&mut self, entries: usize) {
        for batch in (0..entries).collect::<Vec<_>>().chunks(10_000) {
            let mut pipe = redis::pipe();
            for number in batch {
                pipe.cmd("SET").arg(format!("products:{{0}}:{number}")).arg("entry").ignore();
            }
            pipe.exec(&mut self.0).unwrap();
        }
    }

    /// All entries.
    pub(crate) fn keys(&mut self) -> Vec<String> {
        redis::cmd("KEYS").arg("products:*").query(&mut self.0).unwrap()
    }
}
