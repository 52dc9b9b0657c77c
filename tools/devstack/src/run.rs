//! `farmlokal-dev run`: everything up, with a million products, until Ctrl-C.

use std::io::{ErrorKind, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use farmlokal_devstack::interrupt::{self, Interrupted};
use farmlokal_devstack::{Partners, RATE_LIMIT, Stack, Supervised};

const POLL: Duration = Duration::from_millis(200);

#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    /// TCP port of the API
    #[arg(long, env = "PORT", default_value_t = 5000)]
    port: u16,
    /// How many products to seed, where they are not there yet
    #[arg(long, env = "SEED_ROWS", default_value_t = 1_000_000)]
    rows: u64,
}

/// Ends with a signal when all goes well.
pub(crate) fn run(args: &RunArgs) -> Result<()> {
    // It waits for the end of a run that was killed, whose API has the port until then.
    let mut stack = Stack::start()?;
    check_free(args.port)?;
    Stack::build()?;
    stack.migrate()?;
    let mut partners = stack.partners()?;
    let mut api = stack.serve(args.port, partners.as_ref())?;
    let mut seed = Some(stack.seed(args.rows)?);
    let mut announced = false;
    let stopped = loop {
        if let Err(error) = watch(&mut stack, &mut partners, &mut api, &mut seed) {
            break error;
        }
        if !announced && searches(args.port) {
            announced = true;
            announce(args.port, partners.as_ref());
        }
        sleep(POLL);
    };
    let interrupted = stopped.is::<Interrupted>();
    eprintln!("\nstopping");
    // In this order: the API still finishes what it is asked.
    drop(seed);
    drop(api);
    drop(partners);
    drop(stack);
    if interrupted { Ok(()) } else { Err(stopped) }
}

fn check_free(port: u16) -> Result<()> {
    let Err(error) = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)) else { return Ok(()) };
    if error.kind() == ErrorKind::AddrInUse {
        let other = port.checked_add(1).unwrap_or(5000);
        bail!("port {port} is in use: stop what uses it, or choose another one, such as PORT={other}");
    }
    Err(error).with_context(|| format!("cannot listen on port {port}"))
}

/// One look at everything that should be running.
fn watch(
    stack: &mut Stack,
    partners: &mut Option<Partners>,
    api: &mut Supervised,
    seed: &mut Option<Supervised>,
) -> Result<()> {
    interrupt::check()?;
    stack.check()?;
    if let Some(status) = partners.as_mut().map(Partners::ended).transpose()?.flatten() {
        bail!("the partners' sandbox ended ({status})");
    }
    if let Some(status) = api.ended()? {
        bail!("the API ended ({status})");
    }
    let Some(status) = seed.as_mut().map(Supervised::ended).transpose()?.flatten() else { return Ok(()) };
    *seed = None;
    let may_go_on = status.success() || stack.uses_a_given_database();
    ensure!(may_go_on, "the seed job failed ({status})");
    if !status.success() {
        eprintln!("farmlokal-dev: not seeded; serving what the database holds");
    }
    Ok(())
}

/// Asks the API for what only its search index knows; a catalogue that is too large for one is served without it.
fn searches(port: u16) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(
            b"GET /products?limit=1&total=true HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        )?;
        std::io::read_to_string(stream)
    };
    ask().is_ok_and(|answer| {
        let has_products = answer.starts_with("HTTP/1.1 200") && answer.contains("\"count\":1,");
        has_products || answer.contains("too large for the search index")
    })
}

fn announce(port: u16, partners: Option<&Partners>) {
    let limit = std::env::var("RATE_LIMIT").unwrap_or_else(|_| RATE_LIMIT.into());
    let sandbox = |partners: &Partners| {
        format!("\n  http://localhost:{}/control/faults   (docs/partners.md)", partners.port())
    };
    let writing = partners.and_then(|partners| partners.curls_that_write(port)).unwrap_or_default();
    let partners = partners.map(sandbox).unwrap_or_default();
    eprintln!(
        "\nFarmLokal serves the catalogue:
  http://localhost:{port}/products
  http://localhost:{port}/products?search=ball
  http://localhost:{port}/docs{partners}
  curl 'http://localhost:{port}/products?category=sports&minPrice=100'{writing}
Rate limits: {limit} requests/seconds for each client (RATE_LIMIT=... changes that). Ctrl-C stops everything.\n"
    );
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    /// Plays the API.
    #[test]
    fn it_is_up_once_its_index_answers() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        for (answer, is_up) in [
            ("503 Service Unavailable\r\n\r\n{\"detail\":\"The search index is being built.\"}", false),
            ("200 OK\r\n\r\n{\"data\":[],\"count\":0,\"total\":0}", false),
            ("200 OK\r\n\r\n{\"data\":[{}],\"count\":1,\"total\":9}", true),
            (
                "503 Service Unavailable\r\n\r\n{\"detail\":\"The catalogue is too large for the search index\"}",
                true,
            ),
        ] {
            let asked = std::thread::spawn(move || searches(port));
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let length = stream.read(&mut request).unwrap();
            assert!(request[..length].starts_with(b"GET /products?limit=1&total=true "));
            write!(stream, "HTTP/1.1 {answer}").unwrap();
            drop(stream);
            assert_eq!(asked.join().unwrap(), is_up, "{answer}");
        }
    }
}
