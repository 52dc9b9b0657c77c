//! What this process knows of each object beyond what the API server has told it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::ResourceExt as _;
use kube::runtime::reflector::ObjectRef;

use crate::crd::{ProductCatalog, ProductCatalogStatus};
use crate::events::Notice;
use crate::outage::Outage;

/// The first pause after a failure: a short outage is over fast.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Also the longest that a recovered Redis goes unnoticed.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The newest status of each object that this process has worked on.
///
/// After a flush the watch may still show the object as it was before: without this, an event that comes between the flush
/// and the new status would flush again. And when the status cannot be written, the flush is not repeated for that.
#[derive(Default)]
pub(crate) struct Known(Mutex<HashMap<ObjectRef<ProductCatalog>, Entry>>);

#[derive(Default)]
struct Entry {
    uid: Option<String>,
    status: ProductCatalogStatus,
    /// What happened and was not yet published.
    notices: Vec<Notice>,
    failures: u32,
    api: Outage,
}

impl Known {
    /// The status of `object`, as this process left it or else as the object has it.
    pub(crate) fn status(&self, object: &ProductCatalog) -> ProductCatalogStatus {
        let entries = self.entries();
        let known = entries.get(&ObjectRef::from_obj(object)).filter(|entry| entry.uid == object.uid());
        known.map_or_else(|| object.status.clone().unwrap_or_default(), |entry| entry.status.clone())
    }

    /// Sets it, and adds what is to be told once it is written.
    pub(crate) fn set(&self, object: &ProductCatalog, status: ProductCatalogStatus, notice: Option<Notice>) {
        let mut entries = self.entries();
        let entry = entries.entry(ObjectRef::from_obj(object)).or_default();
        if entry.uid != object.uid() {
            // Another object of the same name.
            *entry = Entry { uid: object.uid(), ..Entry::default() };
        }
        entry.status = status;
        entry.notices.extend(notice);
    }

    /// What is to be told, each once.
    pub(crate) fn take_notices(&self, object: &ObjectRef<ProductCatalog>) -> Vec<Notice> {
        self.entries().get_mut(object).map(|entry| std::mem::take(&mut entry.notices)).unwrap_or_default()
    }

    /// How long to wait after one more failure: doubling, with jitter.
    pub(crate) fn failed(&self, object: &ObjectRef<ProductCatalog>) -> Duration {
        let mut entries = self.entries();
        let entry = entries.entry(object.clone()).or_default();
        let pause = pause(entry.failures);
        entry.failures = entry.failures.saturating_add(1);
        pause.mul_f64(rand::random_range(0.5..=1.0))
    }

    /// The next pause is the shortest again.
    pub(crate) fn succeeded(&self, object: &ObjectRef<ProductCatalog>) {
        if let Some(entry) = self.entries().get_mut(object) {
            entry.failures = 0;
        }
    }

    /// Records whether the API server took what it was to take about `object`; true if that is news.
    pub(crate) fn api_is_news(&self, object: &ObjectRef<ProductCatalog>, failed: bool) -> bool {
        let mut entries = self.entries();
        let entry = entries.entry(object.clone()).or_default();
        if failed { entry.api.begins() } else { entry.api.ends() }
    }

    /// Forgets objects that are gone.
    pub(crate) fn keep_only(&self, is_there: impl Fn(&ObjectRef<ProductCatalog>) -> bool) {
        self.entries().retain(|object, _| is_there(object));
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<ObjectRef<ProductCatalog>, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pause after so many failures before, without jitter.
pub(crate) fn pause(failures: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << failures.min(10)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let pauses: Vec<_> = (0..8).map(|failures| pause(failures).as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(pause(u32::MAX), LONGEST_PAUSE);
    }

    #[test]
    fn a_success_makes_pauses_short_again_and_each_object_has_its_own() {
        let known = Known::default();
        let (one, other) = (ObjectRef::new("one").within("ns"), ObjectRef::new("other").within("ns"));
        for _ in 0..10 {
            known.failed(&one);
        }
        assert!(known.failed(&one) >= LONGEST_PAUSE / 2);
        assert!(known.failed(&other) <= FIRST_PAUSE);
        known.succeeded(&one);
        assert!(known.failed(&one) <= FIRST_PAUSE);
    }
}
