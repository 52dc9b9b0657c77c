use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};

use crate::client::{client, read, send};

fn command(settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_farmlokal-sandbox"));
    command.current_dir(std::env::temp_dir()).env_clear().envs(settings.iter().copied());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Ends with the test, whatever becomes of that.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn it_says_where_it_listens_logs_no_secret_and_ends_when_told() {
    let secrets = [
        ("SANDBOX_CLIENT_SECRET", "hush"),
        ("SANDBOX_WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
    ];
    let settings = [&secrets[..], &[("SANDBOX_PORT", "0"), ("LOG_LEVEL", "trace")]].concat();
    let mut running = Running(command(&settings).spawn().unwrap());
    let mut log = BufReader::new(running.0.stdout.take().unwrap());
    let url = loop {
        let mut line = String::new();
        assert_ne!(log.read_line(&mut line).unwrap(), 0, "it never listened");
        let event: Value = serde_json::from_str(&line).unwrap();
        if event["message"] == "listening" {
            break format!("http://{}", event["address"].as_str().unwrap());
        }
    };
    let credentials =
        json!({ "grant_type": "client_credentials", "client_id": "farmlokal", "client_secret": "hush" });
    let token = send("POST", &format!("{url}/oauth/token"), &credentials).await.unwrap().json();
    let token = token["access_token"].as_str().unwrap();
    let asked =
        client().get(format!("{url}/api-a/status")).header("authorization", format!("Bearer {token}"));
    assert_eq!(read(asked).await.unwrap().status, 200);

    let id = running.0.id().to_string();
    assert!(Command::new("kill").args(["-s", "TERM", &id]).status().unwrap().success());
    let mut rest = String::new();
    log.read_to_string(&mut rest).unwrap();
    assert!(running.0.wait().unwrap().success());
    assert!(rest.contains("shutting down"));
    for secret in [secrets[0].1, secrets[1].1, token] {
        assert!(!rest.contains(secret), "{secret} is in the log");
    }
}

#[test]
fn a_setting_that_cannot_work_ends_the_start_with_one_line_that_names_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (variable, value) in [
        ("SANDBOX_WEBHOOK_SECRET", "whsec_not base64"),
        ("SANDBOX_WEBHOOK_SECRET", "whsec_c2hvcnQ="),
        ("SANDBOX_PORT", port.as_str()),
    ] {
        let Output { status, stderr, .. } =
            command(&[("SANDBOX_PORT", "0"), (variable, value)]).output().unwrap();
        let stderr = String::from_utf8(stderr).unwrap();
        assert!(!status.success());
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(
            stderr.contains(variable) && (variable == "SANDBOX_PORT" || !stderr.contains(value)),
            "{stderr}"
        );
    }
}
