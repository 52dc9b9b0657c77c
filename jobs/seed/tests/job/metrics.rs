//! `/metrics` tells how far a run is, for as long as it is one.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use farmlokal_testing::TestDatabase;

use crate::running::{ROWS, job, run};

const PATIENCE: Duration = Duration::from_secs(30);

/// The page's lines.
fn scrape(address: &str) -> Vec<String> {
    let mut connection = TcpStream::connect(address).unwrap();
    write!(connection, "GET /metrics HTTP/1.1\r\nhost: seed\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    answer.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_run_that_is_held_up_says_where() {
    let database = TestDatabase::create().await;
    let pool = database.pool();
    // New products cannot take the place of the old ones while somebody reads these.
    let mut reader = pool.acquire().await.unwrap();
    sqlx::raw_sql("LOCK TABLES products READ").execute(&mut *reader).await.unwrap();

    let mut child = job(&database).envs([("MANAGEMENT_PORT", "0"), ("HOST", "127.0.0.1")]).spawn().unwrap();
    let mut log = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let line = log.find(|line| line.contains("listening for operators")).unwrap();
    let address = line.split_once("\"address\":\"").unwrap().1.split('"').next().unwrap();
    // The pipe must not fill up.
    let rest = std::thread::spawn(move || log.count());

    let deadline = Instant::now() + PATIENCE;
    let page = loop {
        let page = scrape(address);
        if page.iter().any(|line| line == "farmlokal_seed_phase{phase=\"swap\"} 1") {
            break page;
        }
        assert!(Instant::now() < deadline, "{page:#?}");
        std::thread::sleep(Duration::from_millis(10));
    };
    let mut expected =
        vec![format!("farmlokal_seed_rows {ROWS}"), format!("farmlokal_seed_rows_target {ROWS}")];
    for phase in ["loading", "indexes", "flush"] {
        expected.push(format!("farmlokal_seed_phase{{phase=\"{phase}\"}} 0"));
    }
    for line in expected {
        assert!(page.contains(&line), "{line} is not in {page:#?}");
    }
    assert!(page.iter().any(|line| line.starts_with("process_resident_memory_bytes ")), "{page:#?}");

    let mut connection = TcpStream::connect(address).unwrap();
    write!(connection, "GET /metrics HTTP/1.1\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400"), "a request without a host: {answer}");

    sqlx::raw_sql("UNLOCK TABLES").execute(&mut *reader).await.unwrap();
    assert!(child.wait().unwrap().success());
    assert!(rest.join().unwrap() > 0);
    assert!(TcpStream::connect(address).is_err(), "it ends with the run");
}

#[tokio::test]
async fn a_port_that_cannot_be_had_stops_the_start() {
    let database = TestDatabase::create().await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let settings = [("MANAGEMENT_PORT", port.as_str()), ("HOST", "127.0.0.1")];
    run(job(&database).envs(settings)).expect_failure("MANAGEMENT_PORT: cannot listen on");
}
