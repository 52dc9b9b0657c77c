//! Events: what `kubectl describe` and `kubectl events` tell people.

use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource as _};
use tracing::warn;

use crate::crd::ProductCatalog;
use crate::error::answer;

/// Publishes Events in the name of this replica.
pub(crate) struct Events {
    client: Client,
    reporter: Reporter,
}

impl Events {
    pub(crate) fn new(client: Client, identity: &str) -> Self {
        let controller = "farmlokal-controller".to_owned();
        Self { client, reporter: Reporter { controller, instance: Some(identity.to_owned()) } }
    }

    /// Creates one Event. A failure is only logged: Events are for people, and what counts is in the status.
    pub(crate) async fn publish(
        &self,
        object: &ProductCatalog,
        type_: EventType,
        reason: &str,
        note: String,
    ) {
        let (reason, action) = (reason.to_owned(), "Flush".to_owned());
        let event = Event { type_, reason, note: Some(note), action, secondary: None };
        // A recorder that has seen an earlier Event would count that one up and keep its text.
        let recorder = Recorder::new(self.client.clone(), self.reporter.clone());
        if let Err(error) = answer(recorder.publish(&event, &object.object_ref(&()))).await {
            warn!(%error, event.reason, "an Event was not published");
        }
    }
}
