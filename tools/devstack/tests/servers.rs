//! The servers start, answer, stop and start again, and never outlive the process that started them.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use farmlokal_devstack::{Database, Redis};

/// Sends one line to Redis and returns the first line of what it answers within a second.
fn redis(port: u16, command: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    stream.write_all(format!("{command}\r\n").as_bytes())?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

/// What the server says of itself when a client connects.
fn greeting(port: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut bytes = [0; 40];
    stream.read_exact(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Within a minute, since a server that is being killed may still write its memory back.
fn becomes_free(port: u16) -> bool {
    (0..6000).any(|_| {
        sleep(Duration::from_millis(10));
        TcpListener::bind(("127.0.0.1", port)).is_ok()
    })
}

#[test]
fn redis_answers_and_ends_with_its_value() {
    let server = Redis::start().unwrap();
    assert_eq!(server.url(), format!("redis://127.0.0.1:{}", server.port()));
    assert_eq!(redis(server.port(), "PING").unwrap(), "+PONG");
    let port = server.port();
    drop(server);
    assert!(TcpListener::bind(("127.0.0.1", port)).is_ok());
}

#[test]
fn redis_stops_and_starts_again_empty_on_its_port() {
    let mut server = Redis::start().unwrap();
    let port = server.port();
    assert_eq!(redis(port, "SET key value").unwrap(), "+OK");
    server.stop().unwrap();
    redis(port, "PING").unwrap_err();
    assert!(server.stop().is_err(), "it is stopped already");
    server.start_again().unwrap();
    assert_eq!(server.port(), port);
    assert_eq!(redis(port, "EXISTS key").unwrap(), ":0");
}

#[test]
fn a_paused_redis_keeps_silent_until_it_resumes() {
    let server = Redis::start().unwrap();
    server.pause().unwrap();
    redis(server.port(), "PING").unwrap_err();
    server.resume().unwrap();
    assert_eq!(redis(server.port(), "PING").unwrap(), "+PONG");
    server.pause().unwrap();
    let port = server.port();
    drop(server);
    assert!(TcpListener::bind(("127.0.0.1", port)).is_ok(), "a paused server ends too");
}

#[test]
fn a_database_outlives_a_crash_and_ends_with_its_value() {
    let mut server = Database::start().unwrap();
    let port = server.port();
    assert_eq!(server.url(), format!("mysql://farmlokal:farmlokal@127.0.0.1:{port}/farmlokal"));
    let first = greeting(port).unwrap();
    server.kill9().unwrap();
    greeting(port).unwrap_err();
    server.start_again().unwrap();
    assert_eq!(greeting(port).unwrap()[5..15], first[5..15], "the same version of the same server");
    drop(server);
    assert!(TcpListener::bind(("127.0.0.1", port)).is_ok());
}

#[test]
fn servers_stand_side_by_side() {
    let servers: Vec<Redis> = (0..8).map(|_| Redis::start().unwrap()).collect();
    for (value, server) in servers.iter().enumerate() {
        assert_eq!(redis(server.port(), &format!("SET key {value}")).unwrap(), "+OK");
    }
    for (value, server) in servers.iter().enumerate() {
        assert_eq!(
            redis(server.port(), &format!("INCRBY key {}", 100)).unwrap(),
            format!(":{}", value + 100)
        );
    }
}

#[test]
fn servers_do_not_outlive_a_parent_that_is_killed() {
    let this_program = std::env::current_exe().unwrap();
    let mut parent = Command::new(this_program)
        .args(["--ignored", "--exact", "a_parent_that_waits_to_be_killed", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(parent.stdout.take().unwrap()).lines();
    let line = lines.map(Result::unwrap).find(|line| line.starts_with("servers ")).unwrap();
    let (ports, directory) = line.trim_start_matches("servers ").split_once(' ').unwrap();
    let ports: Vec<u16> = ports.split(',').map(|port| port.parse().unwrap()).collect();
    assert_eq!(redis(ports[0], "PING").unwrap(), "+PONG");
    greeting(ports[2]).unwrap();

    parent.kill().unwrap();
    parent.wait().unwrap();
    for port in ports {
        assert!(becomes_free(port), "port {port} is still taken");
    }
    let gone = (0..1000).any(|_| {
        sleep(Duration::from_millis(10));
        !std::path::Path::new(directory).exists()
    });
    assert!(gone, "{directory} is left behind");
}

#[test]
#[ignore = "is started by the test above, as a process of its own"]
fn a_parent_that_waits_to_be_killed() {
    let (plain, paused, database) =
        (Redis::start().unwrap(), Redis::start().unwrap(), Database::start().unwrap());
    let directory = config(plain.port(), "dir");
    paused.pause().unwrap();
    println!("\nservers {},{},{} {directory}", plain.port(), paused.port(), database.port());
    sleep(Duration::from_mins(5));
}

fn config(port: u16, name: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(format!("CONFIG GET {name}\r\nQUIT\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.lines().nth(4).unwrap().to_owned()
}
