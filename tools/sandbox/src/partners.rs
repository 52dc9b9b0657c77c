//! What every handler works with.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::api_b::{Callbacks, InvalidKey, Sender, SigningKey};
use crate::bearer::Bearers;
use crate::config::Config;
use crate::faults::{FaultBoard, Faults};
use crate::journal::Journal;

/// The partners, shared by all handlers.
#[derive(Clone)]
pub(crate) struct Partners(Arc<State>);

pub(crate) struct State {
    pub(crate) config: Config,
    /// Signs webhooks to callbacks without a secret of their own.
    pub(crate) key: SigningKey,
    pub(crate) faults: FaultBoard,
    pub(crate) journal: Journal,
    pub(crate) bearers: Bearers,
    pub(crate) callbacks: Callbacks,
    pub(crate) sender: Sender,
    /// Answers that API A has given.
    pub(crate) sequence: AtomicU64,
    pub(crate) shutdown: CancellationToken,
}

impl Deref for Partners {
    type Target = State;

    fn deref(&self) -> &State {
        &self.0
    }
}

impl Partners {
    /// # Errors
    /// The webhook secret is no key.
    pub(crate) fn new(config: Config) -> Result<Partners, InvalidKey> {
        Ok(Partners(Arc::new(State {
            key: SigningKey::parse(config.webhook_secret.reveal())?,
            config,
            faults: FaultBoard::default(),
            journal: Journal::default(),
            bearers: Bearers::new(),
            callbacks: Callbacks::default(),
            sender: Sender::default(),
            sequence: AtomicU64::new(0),
            shutdown: CancellationToken::new(),
        })))
    }

    /// No faults, nothing counted, nothing being sent. Callbacks stay registered.
    pub(crate) fn reset(&self) {
        self.faults.set(Faults::default());
        self.journal.reset();
        self.sender.forget();
    }

    /// Waits so long, or until the sandbox ends.
    pub(crate) async fn pause(&self, time: Duration) {
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            () = self.shutdown.cancelled() => {}
        }
    }
}
