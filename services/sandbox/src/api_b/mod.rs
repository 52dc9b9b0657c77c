//! API B: takes the registration of callbacks and sends them signed webhooks.

mod signature;

pub use signature::{InvalidKey, SigningKey, sign};
