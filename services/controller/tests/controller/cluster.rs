//! A namespace on the API server that `FARMLOKAL_TEST_KUBECONFIG` names, and what it says about objects.

use std::io::Write as _;
use std::panic::AssertUnwindSafe;

use farmlokal_controller::crd::{ProductCatalog, ProductCatalogStatus};
use farmlokal_devstack::Redis;
use futures::FutureExt as _;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::crd::CustomResourceExt as _;
use kube::{Api, Client, Config};
use serde_json::{Value, json};

use crate::process::{Controller, RELEASE, eventually};

const KUBECONFIG: &str = "FARMLOKAL_TEST_KUBECONFIG";

/// A namespace of a test's own, and a Redis.
pub struct Cluster {
    pub client: Client,
    pub kubeconfig: String,
    pub namespace: String,
    pub redis: Redis,
}

impl Cluster {
    /// Runs `test` in a namespace of its own, or says why it does not.
    pub async fn run(test: impl AsyncFnOnce(&mut Cluster)) {
        let Ok(kubeconfig) = std::env::var(KUBECONFIG) else {
            // Past the test harness, which would keep what a passing test prints.
            let line = "farmlokal-controller: SKIPPED: FARMLOKAL_TEST_KUBECONFIG names no cluster to test on";
            let _ = writeln!(std::io::stderr(), "{line}");
            return;
        };
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::try_from(config(&kubeconfig).await).unwrap();
        define(&client).await;
        let namespace = format!("controller-test-{:08x}", rand::random::<u32>());
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let object = json!({ "metadata": { "name": namespace } });
        let object = serde_json::from_value(object).unwrap();
        namespaces.create(&PostParams::default(), &object).await.unwrap();
        let redis = Redis::start().unwrap();
        let mut cluster = Cluster { client, kubeconfig, namespace: namespace.clone(), redis };
        let done = AssertUnwindSafe(test(&mut cluster)).catch_unwind().await;
        namespaces.delete(&namespace, &DeleteParams::background()).await.unwrap();
        if let Err(panic) = done {
            std::panic::resume_unwind(panic);
        }
    }

    /// A replica of the controller. Leases are short, so that tests are.
    pub fn controller(&self, name: &str) -> Controller {
        self.controller_with(name, &[])
    }

    /// As [`Self::controller`], with further settings.
    pub fn controller_with(&self, name: &str, settings: &[(&str, &str)]) -> Controller {
        let redis = self.redis.url();
        let own = [
            ("KUBECONFIG", self.kubeconfig.as_str()),
            ("POD_NAMESPACE", &self.namespace),
            ("POD_NAME", name),
            ("REDIS_URL", &redis),
            ("LEASE_DURATION", "3s"),
            ("LEASE_RETRY_PERIOD", "500ms"),
        ];
        Controller::start(&[&own, settings].concat())
    }

    pub fn catalogs(&self) -> Api<ProductCatalog> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// As `kubectl apply --server-side` does.
    pub async fn apply(&self, name: &str, change: impl FnOnce(&mut Value)) -> kube::Result<ProductCatalog> {
        self.patch(name, &PatchParams::apply("test").force(), change).await
    }

    /// As `kubectl apply --server-side --dry-run=server` does: why the API server refuses it, or nothing.
    async fn refusal(&self, change: impl FnOnce(&mut Value)) -> Option<String> {
        match self.patch("dry", &PatchParams::apply("test").force().dry_run(), change).await {
            Ok(_) => None,
            Err(kube::Error::Api(status)) => Some(status.message),
            Err(error) => panic!("{error}"),
        }
    }

    async fn patch(
        &self,
        name: &str,
        params: &PatchParams,
        change: impl FnOnce(&mut Value),
    ) -> kube::Result<ProductCatalog> {
        let mut object = json!({
            "apiVersion": "farmlokal.dev/v1alpha1",
            "kind": "ProductCatalog",
            "metadata": { "name": name },
            "spec": { "release": RELEASE, "displayName": "A test" },
        });
        change(&mut object);
        self.catalogs().patch(name, params, &Patch::Apply(object)).await
    }

    pub async fn status(&self, name: &str) -> ProductCatalogStatus {
        self.catalogs().get(name).await.unwrap().status.unwrap_or_default()
    }

    /// Waits until the flush for this object as it is now is done.
    pub async fn flushed(&self, name: &str) -> ProductCatalogStatus {
        eventually("it is flushed", async || {
            let object = self.catalogs().get(name).await.unwrap();
            let status = object.status.clone().unwrap_or_default();
            let request = object.flush_request();
            status.flushed_generation == object.metadata.generation
                && (request.is_none() || request == status.last_handled_request.as_deref())
        })
        .await;
        self.status(name).await
    }

    /// How many Events have this reason.
    pub async fn events(&self, reason: &str) -> usize {
        let events: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        let events = events.list(&ListParams::default()).await.unwrap();
        events.iter().filter(|event| event.reason.as_deref() == Some(reason)).count()
    }
}

async fn config(path: &str) -> Config {
    let kubeconfig = Kubeconfig::read_from(path).unwrap();
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap()
}

/// Makes the definition known, in the place of one that is there.
async fn define(client: &Client) {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let (name, params) = (ProductCatalog::crd_name(), PatchParams::apply("test").force());
    definitions.patch(name, &params, &Patch::Apply(ProductCatalog::crd())).await.unwrap();
    eventually("the definition is served", async || {
        let catalogs: Api<ProductCatalog> = Api::all(client.clone());
        catalogs.list(&ListParams::default()).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn the_api_server_takes_good_objects_and_says_what_is_wrong_with_others() {
    Cluster::run(async |cluster| {
        assert_eq!(cluster.refusal(|_| {}).await, None);
        let full = |o: &mut Value| {
            o["spec"] = json!({
                "release": RELEASE, "displayName": "Höfe & Co", "description": "All of it", "version": "1.0-a",
                "suspend": true,
            });
        };
        assert_eq!(cluster.refusal(full).await, None);
        for (pointer, value, message) in [
            ("displayName", json!(""), "at least 1 chars long"),
            ("displayName", json!("   "), "displayName must say what catalogue this is"),
            ("displayName", json!("x".repeat(101)), "Too long"),
            ("displayName", json!(7), "expected string"),
            ("release", json!("Our shop"), "spec.release in body should match"),
            ("release", json!(""), "at least 1 chars long"),
            ("suspend", json!("yes"), "expected boolean"),
            ("displayname", json!("M"), "field not declared in schema"),
        ] {
            let refusal = cluster.refusal(|o| o["spec"][pointer] = value.clone()).await.unwrap_or_default();
            assert!(refusal.contains(message), "{pointer}={value}: {refusal:?}");
        }
        let without_name = cluster.refusal(|o| o["spec"] = json!({})).await.unwrap_or_default();
        for field in ["spec.displayName: Required value", "spec.release: Required value"] {
            assert!(without_name.contains(field), "{without_name}");
        }
        let stored = cluster.apply("defaults", |_| {}).await.unwrap();
        assert!(!stored.spec.suspend);
    })
    .await;
}
