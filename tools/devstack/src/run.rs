//! `farmlokal-dev run`: everything up, with a million products, until Ctrl-C.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use farmlokal_devstack::interrupt::{self, Interrupted};
use farmlokal_devstack::{Partners, RATE_LIMIT, Stack, StackOptions, Supervised};

const POLL: Duration = Duration::from_millis(200);

#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    /// TCP port of the API
    #[arg(long, env = "PORT", default_value_t = 5000)]
    port: u16,
    /// How many products to seed, where they are not there yet
    #[arg(long, env = "SEED_ROWS", default_value_t = StackOptions::default().rows)]
    rows: u64,
}

/// Ends with [`Interrupted`] when all goes well.
pub(crate) fn run(args: &RunArgs) -> Result<()> {
    check_free(args.port)?;
    let mut stack = Stack::start()?;
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
        if !announced && lists_products(args.port) {
            announced = true;
            announce(args.port, seed.is_some());
            if let Some(partners) = &partners {
                announce_partners(args.port, partners.port());
            }
            eprintln!("Ctrl-C stops everything.\n");
        }
        sleep(POLL);
    };
    if stopped.is::<Interrupted>() {
        eprintln!("\nstopping");
    }
    // In this order: the API still finishes what it is asked.
    drop(seed);
    drop(api);
    drop(partners);
    drop(stack);
    Err(stopped)
}

/// Waits a little for the API of a run that was killed, which ends by itself.
fn check_free(port: u16) -> Result<()> {
    let patience = Instant::now() + Duration::from_secs(3);
    loop {
        match TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() != ErrorKind::AddrInUse => {
                return Err(error).with_context(|| format!("cannot listen on port {port}"));
            }
            Err(_) if Instant::now() > patience => {
                let other = port.checked_add(1).unwrap_or(5000);
                bail!("port {port} is in use: stop what uses it, or choose another one, such as PORT={other}")
            }
            Err(_) => {
                interrupt::check()?;
                sleep(POLL);
            }
        }
    }
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
    if status.success() {
        return Ok(());
    }
    if stack.uses_a_given_database() {
        eprintln!("farmlokal-dev: not seeded; serving what the database holds");
        return Ok(());
    }
    bail!("the seed job failed ({status})")
}

/// Asks the API for one product.
fn lists_products(port: u16) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream
            .write_all(b"GET /products?limit=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200") && answer.contains("\"count\":1,"))
}

fn announce(port: u16, seeding: bool) {
    let limit = std::env::var("RATE_LIMIT").unwrap_or_else(|_| RATE_LIMIT.into());
    let search = if seeding { "   (once the full-text index is built)" } else { "" };
    eprintln!(
        "
FarmLokal serves the catalogue. Try:
  http://localhost:{port}/products
  http://localhost:{port}/products?cursor=1000&limit=20
  http://localhost:{port}/products?sort=price&order=ASC
  http://localhost:{port}/products?category=sports&minPrice=100
  http://localhost:{port}/products?search=ball{search}
  http://localhost:{port}/docs
Rate limits: {limit} requests/seconds for each client (RATE_LIMIT=... changes that).
"
    );
}

fn announce_partners(port: u16, sandbox: u16) {
    eprintln!(
        "Its partners are simulated on http://localhost:{sandbox} (docs/sandbox.md). Try:
  http://localhost:{port}/auth/test-token
  http://localhost:{port}/external/test-api-a
  curl -X PUT --json '{{\"apiA\": {{\"mode\": \"error\", \"failNext\": 2}}}}' http://localhost:{sandbox}/control/faults
  curl --json '{{\"count\": 100}}' http://localhost:{sandbox}/control/webhooks
  http://localhost:{sandbox}/control/webhooks
"
    );
}
