//! Events: what `kubectl describe` and `kubectl events` tell people.

use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource as _};
use tracing::warn;

use crate::crd::ProductCatalog;
use crate::error::{API_TIMEOUT, answer_within};

/// Creates one Event in the name of this replica. A failure is only logged: Events are for people, and what counts is in the
/// status.
pub(crate) async fn publish(
    client: &Client,
    identity: &str,
    object: &ProductCatalog,
    type_: EventType,
    reason: &str,
    note: String,
) {
    let (reason, action) = (reason.to_owned(), "Flush".to_owned());
    let event = Event { type_, reason, note: Some(note), action, secondary: None };
    let reporter =
        Reporter { controller: "farmlokal-controller".to_owned(), instance: Some(identity.to_owned()) };
    // A recorder that has seen an earlier Event would count that one up and keep its text.
    let recorder = Recorder::new(client.clone(), reporter);
    if let Err(error) = answer_within(API_TIMEOUT, recorder.publish(&event, &object.object_ref(&()))).await {
        warn!(%error, event.reason, "an Event was not published");
    }
}
