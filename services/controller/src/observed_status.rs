//! The status that this process wrote last. The watch may still show an object as it was before: without this, an event
//! between the flush and the new status would flush again.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kube::ResourceExt as _;
use kube::runtime::reflector::ObjectRef;

use crate::crd::{ProductCatalog, ProductCatalogStatus};

/// Of each object what this process knows better than the watch.
#[derive(Default)]
pub(crate) struct ObservedStatus(Mutex<HashMap<ObjectRef<ProductCatalog>, Written>>);

struct Written {
    uid: Option<String>,
    status: ProductCatalogStatus,
    /// The object's version with this status; `None` until the API server has taken it.
    version: Option<u64>,
}

impl ObservedStatus {
    /// What this process wrote while `object` is older than that, else the object's own status.
    pub(crate) fn of(&self, object: &ProductCatalog) -> ProductCatalogStatus {
        let (mut written, key) = (self.written(), ObjectRef::from_obj(object));
        let newer = |written: &&Written| {
            written.uid == object.uid()
                && written.version.is_none_or(|written| version(object) < Some(written))
        };
        if let Some(written) = written.get(&key).filter(newer) {
            return written.status.clone();
        }
        written.remove(&key);
        object.status.clone().unwrap_or_default()
    }

    /// Sets what is to be written.
    pub(crate) fn set(&self, object: &ProductCatalog, status: ProductCatalogStatus) {
        let written = Written { uid: object.uid(), status, version: None };
        self.written().insert(ObjectRef::from_obj(object), written);
    }

    /// The API server has taken the status: `object` is its answer.
    pub(crate) fn taken(&self, object: &ProductCatalog) {
        if let Some(written) = self.written().get_mut(&ObjectRef::from_obj(object)) {
            // A version that is no number, which no API server has, leaves the watch to be believed.
            written.version = Some(version(object).unwrap_or_default());
        }
    }

    /// Forgets an object that is gone.
    pub(crate) fn forget(&self, object: &ObjectRef<ProductCatalog>) {
        self.written().remove(object);
    }

    fn written(&self) -> MutexGuard<'_, HashMap<ObjectRef<ProductCatalog>, Written>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Versions of one object can be compared:
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions>.
fn version(object: &ProductCatalog) -> Option<u64> {
    object.resource_version()?.parse().ok()
}
