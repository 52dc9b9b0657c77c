//! The partners that FarmLokal works with, simulated: an OAuth token issuer, API A, and API B with its webhooks.
//! Each can be made to fail in every way that real ones do, at run time, over HTTP or from a test:
//!
//! ```no_run
//! use farmlokal_sandbox::{Fault, Faults, Mode, Sandbox};
//! # async fn test() -> std::io::Result<()> {
//! let sandbox = Sandbox::start().await?;
//! sandbox.set_faults(Faults { api_a: Fault { fail_next: 2, ..Mode::Error.into() }, ..Faults::default() });
//! // ... two requests for sandbox.api_a_url() are answered with 503, the third with 200 ...
//! assert_eq!(sandbox.counters().api_a.requests, 3);
//! # Ok(()) }
//! ```

mod api_a;
mod api_b;
mod config;
mod control;
mod faults;
mod issuer;
mod journal;
mod listener;
mod sandbox;
mod token;
mod tokens;

pub use api_b::{Change, Event, InvalidKey, Plan, Product, Report, SendError, SigningKey, State};
pub use config::{Cli, Config};
pub use faults::{Fault, Mode};
pub use issuer::{Algorithm, Rotation};
pub use journal::{Counters, Endpoint, EndpointCounters, Faults, PerEndpoint, Seen};
pub use sandbox::{Partners, Sandbox};
