//! Events: what `kubectl describe` and `kubectl events` tell people.

use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource as _};

use crate::crd::ProductCatalog;
use crate::error::Error;

/// Who the Events are from.
const CONTROLLER: &str = "farmlokal-controller";

/// Something that happened to an object once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) warning: bool,
    /// A word for programs.
    pub(crate) reason: &'static str,
    /// A sentence for people.
    pub(crate) note: String,
}

/// Publishes Events in the name of this replica.
pub(crate) struct Events {
    client: Client,
    reporter: Reporter,
}

impl Events {
    pub(crate) fn new(client: Client, identity: &str) -> Self {
        let reporter = Reporter { controller: CONTROLLER.to_owned(), instance: Some(identity.to_owned()) };
        Self { client, reporter }
    }

    /// Creates one Event.
    pub(crate) async fn publish(&self, object: &ProductCatalog, notice: &Notice) -> Result<(), Error> {
        let event = Event {
            type_: if notice.warning { EventType::Warning } else { EventType::Normal },
            reason: notice.reason.to_owned(),
            note: Some(notice.note.clone()),
            action: "Flush".to_owned(),
            secondary: None,
        };
        // A recorder of its own for each: one that knows an earlier Event would count that one up and keep its text.
        let recorder = Recorder::new(self.client.clone(), self.reporter.clone());
        Error::within(recorder.publish(&event, &object.object_ref(&()))).await
    }
}
