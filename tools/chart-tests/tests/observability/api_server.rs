//! What the controller needs of an API server: a lease that it may have, and a catalogue that holds its flush back.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use serde_json::{Value, json};

pub(crate) const RELEASE: &str = "shop";

/// Starts it on a free port; returns its URL.
pub(crate) fn start() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for connection in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || serve(&connection));
        }
    });
    format!("http://{address}")
}

/// Answers the requests of a connection until that ends.
fn serve(mut connection: &TcpStream) -> Option<()> {
    let mut requests = BufReader::new(connection);
    loop {
        let (mut line, mut length) = (String::new(), 0);
        requests.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
        let mut header = String::new();
        while requests.read_line(&mut header).ok()? > 2 {
            if let Some(value) = header.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            header.clear();
        }
        let mut body = vec![0; length];
        requests.read_exact(&mut body).ok()?;
        if line.contains("watch=true") {
            // Nothing changes for as long as anybody looks.
            write!(connection, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").ok()?;
            continue;
        }
        let (status, body) = answer(&line, &body);
        let (body, head) = (body.to_string(), "content-type: application/json\r\ncontent-length");
        write!(connection, "HTTP/1.1 {status}\r\n{head}: {}\r\n\r\n{body}", body.len()).ok()?;
    }
}

fn answer(request: &str, body: &[u8]) -> (&'static str, Value) {
    if request.starts_with("GET") && request.contains("/leases/") {
        let status = json!({"kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound", "message": "no"});
        return ("404 Not Found", status);
    }
    if request.starts_with("GET") {
        let catalog = json!({
            "metadata": {"name": "main", "namespace": "shop", "uid": "1", "generation": 1, "resourceVersion": "1",
                "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"release": RELEASE, "displayName": "Main", "suspend": true},
        });
        return ("200 OK", json!({"metadata": {"resourceVersion": "1"}, "items": [catalog]}));
    }
    // What is written is taken: a lease, a status, an Event.
    ("200 OK", serde_json::from_slice(body).unwrap_or_default())
}
