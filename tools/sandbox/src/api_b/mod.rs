//! API B: takes the registration of callbacks and sends them signed webhooks.

mod attempt;
mod callbacks;
mod event;
mod plan;
mod run;
mod schedule;
mod sender;
mod signature;

pub use event::{Change, Event, Product};
pub use plan::Plan;
pub use run::{Report, State};
pub use sender::SendError;
pub use signature::{InvalidKey, SigningKey};

pub(crate) use attempt::client;
pub(crate) use callbacks::routes;
pub(crate) use sender::Run;
