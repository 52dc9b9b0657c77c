use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Result, bail};

/// Below the ranges from which Linux and macOS give ports to outgoing connections: a server that is stopped and started
/// again finds its port still free.
const FIRST: u16 = 15_000;
const COUNT: u64 = 15_000;

/// A TCP port on the loopback address that was free a moment ago. Another process may still take it first.
///
/// # Errors
/// A thousand were taken.
pub fn free() -> Result<u16> {
    let random = RandomState::new();
    for attempt in 0..1000 {
        let offset = u16::try_from(random.hash_one(attempt) % COUNT)?;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, FIRST + offset)).is_ok() {
            return Ok(FIRST + offset);
        }
    }
    bail!("no free TCP port between {FIRST} and {}", u64::from(FIRST) + COUNT)
}
